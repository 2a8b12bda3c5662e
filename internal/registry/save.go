package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Annotations in an archive's index.json. The first two are what containerd and
// the image specification look for, so that other tools can read the archive.
const (
	annotationName   = "io.containerd.image.name"
	annotationRef    = "org.opencontainers.image.ref.name"
	annotationSource = "dev.tekgate.source-digest"
	// annotationAttached names what belongs to an image, by the image's repository. Other tools
	// take what has one of the names above for an image, and try to unpack it.
	annotationAttached = "dev.tekgate.attached"
)

// SaveRequest says what goes into an archive.
type SaveRequest struct {
	// File is the archive: an OCI image layout in a tar file.
	File string
	// Transfers are the images; where they go is not looked at.
	Transfers []Transfer
	// Platforms are those that are saved; empty means all. Leaving any out
	// changes an image's digest.
	Platforms []string
	Progress  Progress
}

// Save writes images into an archive that Load reads where there is no network.
// Until it is complete its parts lie in the folder File.partial; an interrupted
// Save is resumed by running it again, and fetches what is not there. The file
// appears once every image is in it.
func Save(ctx context.Context, request SaveRequest, options Options) ([]TransferResult, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(request.File); err == nil && info.IsDir() {
		return nil, fmt.Errorf("writing archive %s: it is a folder: name a file, such as %s", request.File,
			filepath.Join(request.File, "images.tar"))
	}
	a := archive{folder: request.File + ".partial"}
	if err := os.MkdirAll(a.blobs(), 0o755); err != nil {
		return nil, fmt.Errorf("writing archive %s: %w", request.File, err)
	}
	lines := make([][]ocispec.Descriptor, len(request.Transfers))
	numbers := map[image.Reference]int{}
	for i, t := range request.Transfers {
		numbers[t.Image.From] = i
	}
	m := newMover(c)
	results := c.each(request.Transfers, request.Progress, func(t Transfer) TransferResult {
		result := TransferResult{Image: t.Image, Outcome: Copied}
		result.Image.To = image.Reference{Host: "archive", Path: request.File}
		saved, err := a.save(ctx, m.reporting(t, request.Progress), t, request, &result)
		lines[numbers[t.Image.From]] = saved
		return result.ended(err, request.Platforms)
	})
	if slices.ContainsFunc(results, func(r TransferResult) bool { return r.Outcome == Failed }) {
		return results, nil
	}
	if err := a.finish(request.File, slices.Concat(lines...)); err != nil {
		return results, fmt.Errorf("writing archive %s: %w", request.File, err)
	}
	return results, nil
}

// save saves an image and what belongs to it, and returns their lines in index.json.
func (a archive) save(ctx context.Context, m *mover, t Transfer, request SaveRequest,
	result *TransferResult) ([]ocispec.Descriptor, error) {
	source, taken, err := m.client.fetchAny(ctx, t, request.Platforms)
	if err != nil {
		return nil, err
	}
	root := taken.root()
	result.Source = source.ref
	result.Digest, result.SourceDigest = root.Digest.String(), taken.source.String()
	if request.Progress != nil {
		request.Progress.Start(t.Image.From.String(), taken.size())
	}
	if err := a.add(ctx, m, source, taken); err != nil {
		return nil, err
	}
	from := t.Image.From.String()
	lines := []ocispec.Descriptor{line(taken, map[string]string{
		annotationName: from, annotationRef: from, annotationSource: taken.source.String()})}
	if result.Subset() { // nothing belongs to an index of fewer platforms
		return lines, nil
	}
	found, err := attachedTo(ctx, source.repository, subjectsOf(root.manifest))
	if err != nil {
		return nil, fmt.Errorf("looking for its signatures at %s: %w", source.ref.Repository(), err)
	}
	for _, one := range found {
		belongs, err := a.attach(ctx, m, source.repository, one, t.Image.From)
		if err != nil {
			return nil, fmt.Errorf("saving %s, which belongs to it: %w", one.name, err)
		}
		lines = append(lines, belongs)
	}
	result.Attached = len(found)
	return lines, nil
}

// attach saves what belongs to an image.
func (a archive) attach(ctx context.Context, m *mover, source *repository, one attachment,
	to image.Reference) (ocispec.Descriptor, error) {
	root, err := source.get(ctx, one.name)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	taken, err := readTree(ctx, source, root, nil)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	separator := "@"
	if one.tagged {
		separator = ":"
	}
	return line(taken, map[string]string{annotationAttached: to.Repository() + separator + one.name}),
		a.add(ctx, m, source, taken)
}

// line returns a line of index.json.
func line(taken *tree, annotations map[string]string) ocispec.Descriptor {
	d := taken.root().descriptor()
	d.Annotations = annotations
	return d
}

// archive is the folder in which an archive grows.
type archive struct{ folder string }

func (a archive) blobs() string { return filepath.Join(a.folder, "blobs", "sha256") }

func (a archive) add(ctx context.Context, m *mover, from blobSource, taken *tree) error {
	group, inner := errgroup.WithContext(ctx)
	for _, blob := range taken.blobs() {
		group.Go(func() error { return a.blob(inner, m, from, blob) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, n := range taken.nodes {
		if err := a.write(n.Descriptor, func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(n.raw)), nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// blob stores a blob, once for all images.
func (a archive) blob(ctx context.Context, m *mover, from blobSource, blob ocispec.Descriptor) error {
	streamed := false
	_, err := m.shared.once(ctx, blob.Digest.String(), func() error {
		return m.client.moving(ctx, func() error { return a.fetch(ctx, m, from, blob, &streamed) })
	})
	if err == nil && !streamed {
		m.moved(blob.Size)
	}
	return err
}

func (a archive) fetch(ctx context.Context, m *mover, from blobSource, blob ocispec.Descriptor, streamed *bool) error {
	var body *stream
	err := a.write(blob, func() (_ io.ReadCloser, err error) {
		if body, err = m.open(ctx, from, blob, streamed); err == nil && body == nil {
			err = errForeign
		}
		return body, err
	})
	switch {
	case errors.Is(err, errForeign):
		return nil
	case body != nil:
		return body.reason(err)
	}
	return err
}

// write stores a blob unless it is there. A blob gets its name when its size and digest
// are right, so that what has a name is whole.
func (a archive) write(blob ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	if blob.Digest.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%s is no SHA-256: archives have those alone", blob.Digest)
	}
	file := filepath.Join(a.blobs(), blob.Digest.Encoded())
	if info, err := os.Stat(file); err == nil && info.Size() == blob.Size {
		return nil
	}
	in, err := open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(a.folder, "half-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }()
	counted := &counter{Reader: in}
	err = copyVerified(out, counted, "blobs/sha256/"+blob.Digest.Encoded())
	if err == nil && counted.n != blob.Size {
		err = fmt.Errorf("blob %s has %d bytes, and is said to have %d", blob.Digest, counted.n, blob.Size)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), file)
}

// counter counts the bytes that are read.
type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// finish makes the folder one file.
func (a archive) finish(file string, lines []ocispec.Descriptor) error {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: append([]ocispec.Descriptor{}, lines...)}
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(a.folder, "index.json"), text, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(a.folder, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`),
		0o644); err != nil {
		return err
	}
	half := file + ".half"
	if err := a.pack(half); err != nil {
		return errors.Join(err, os.Remove(half))
	}
	if err := os.Rename(half, file); err != nil {
		return err
	}
	return os.RemoveAll(a.folder)
}

// pack writes the folder's files, by name and with nothing that changes from
// run to run, so that the same images give the same file.
func (a archive) pack(file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(a.folder, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(a.folder, path)
		if err != nil || entry.IsDir() || !inLayout.MatchString(filepath.ToSlash(name)) {
			return err
		}
		return packFile(w, path, filepath.ToSlash(name))
	})
	return errors.Join(err, w.Close(), out.Close())
}

func packFile(w *tar.Writer, path, name string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size(),
		Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	// An earlier, interrupted save may have left the blob long ago.
	return copyVerified(w, in, name)
}

// inLayout matches the files of an OCI image layout, and no others: an archive
// may come from anywhere.
var inLayout = lazyregexp.New(`^(?:oci-layout|index\.json|blobs/sha256/[0-9a-f]{64})$`)
