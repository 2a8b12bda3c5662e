package registry

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tekgate/tekgate/internal/image"
)

// LoadRequest says what is taken out of an archive.
type LoadRequest struct {
	// File is what Save wrote, or any OCI image layout in a tar file or a folder
	// whose images are annotated with their names.
	File string
	// Rules say where each image goes.
	Rules     *image.Rules
	Overwrite bool
	Progress  Progress
}

// Load puts the images of an archive onto the mirror, where the rules say. It
// skips what is there, and images in whose place a rule puts another one.
func Load(ctx context.Context, request LoadRequest, options Options) ([]TransferResult, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	folder, remove, err := unpack(request.File)
	if err != nil {
		return nil, badArchive(request.File, err)
	}
	defer remove()
	images, err := contents(ctx, folder, request.Rules)
	if err != nil {
		return nil, badArchive(request.File, err)
	}
	transfers := make([]Transfer, 0, len(images))
	taken := map[image.Reference]*tree{}
	for _, i := range images {
		transfers = append(transfers, Transfer{Image: i.done})
		taken[i.done.From] = i.content
	}
	m := newMover(c)
	return c.each(transfers, request.Progress, func(t Transfer) TransferResult {
		one := c.copying(t, m.reporting(t, request.Progress),
			CopyRequest{Overwrite: request.Overwrite, Progress: request.Progress})
		one.result.Source = t.Image.From
		if t.Image.Other { // the rule names another image, which is the user's own
			one.result.Outcome = Unneeded
			return *one.result
		}
		return one.result.ended(one.load(ctx, blobFiles(folder), taken[t.Image.From]), nil)
	}), nil
}

// badArchive says what is wrong with an archive, without the folder that it was unpacked to.
func badArchive(file string, err error) error {
	var missing *fs.PathError
	lost := errors.As(err, &missing) && errors.Is(err, fs.ErrNotExist)
	switch {
	case errors.Is(err, tar.ErrHeader):
		err = errors.New("it is no tar file: uncompress it first if it is compressed")
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends too early: get it again")
	case lost && filepath.Base(missing.Path) == "index.json":
		err = errors.New("it has no index.json, so it is no OCI image layout: write it with `tekgate images save`")
	case lost && missing.Path != file:
		err = fmt.Errorf("it lacks blob %s: get it again", filepath.Base(missing.Path))
	}
	return fmt.Errorf("reading archive %s: %w", file, err)
}

type archived struct {
	done    image.Rewritten
	content *tree
}

// blobFiles are the blobs of a layout in a folder.
type blobFiles string

func (b blobFiles) path(d digest.Digest) string {
	return filepath.Join(string(b), "blobs", d.Algorithm().String(), d.Encoded())
}

// Fetch opens a blob.
func (b blobFiles) Fetch(_ context.Context, blob ocispec.Descriptor) (io.ReadCloser, error) {
	return os.Open(b.path(blob.Digest))
}

// get reads a manifest. Its descriptor has the media type.
func (b blobFiles) get(_ context.Context, reference string) (manifest, error) {
	d, err := digest.Parse(reference)
	if err != nil {
		return manifest{}, err
	}
	raw, err := os.ReadFile(b.path(d))
	return manifest{raw: raw, Descriptor: ocispec.Descriptor{
		Digest: d, Size: int64(len(raw)), MediaType: declared(raw, "")}}, err
}

func (b blobFiles) getBlob(_ context.Context, blob ocispec.Descriptor) ([]byte, error) {
	return os.ReadFile(b.path(blob.Digest))
}

// contents takes every image of a layout apart.
func contents(ctx context.Context, folder string, rules *image.Rules) ([]archived, error) {
	text, err := os.ReadFile(filepath.Join(folder, "index.json"))
	if err != nil {
		return nil, err
	}
	index, err := (manifest{raw: text}).index()
	if err != nil {
		return nil, err
	}
	var images []archived
	for _, d := range index.Manifests {
		name := cmp.Or(d.Annotations[annotationName], d.Annotations[annotationRef], d.Annotations[annotationAttached])
		ref, err := image.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("image %s has no name: annotation %s has to say it: %w", d.Digest, annotationName,
				err)
		}
		rules := rules
		if d.Annotations[annotationAttached] != "" {
			rules = rules.WithPublished(nil) // which knows images, not their signatures
		}
		done, err := rules.Rewrite(ref)
		if err != nil {
			return nil, err
		}
		one, err := archivedTree(ctx, blobFiles(folder), d)
		if err != nil {
			return nil, fmt.Errorf("image %s: %w", ref, err)
		}
		images = append(images, archived{done: done, content: one})
	}
	return images, nil
}

// archivedTree takes an image of a layout apart, and holds that all of it is there.
func archivedTree(ctx context.Context, files blobFiles, d ocispec.Descriptor) (*tree, error) {
	if err := validDigests([]ocispec.Descriptor{d}); err != nil {
		return nil, err
	}
	root, err := files.get(ctx, d.Digest.String())
	if err != nil {
		return nil, err
	}
	if err := checkSize(files, d); err != nil {
		return nil, err
	}
	root.MediaType = d.MediaType
	taken, err := readTree(ctx, files, root, nil)
	if err != nil {
		return nil, err
	}
	if source, err := digest.Parse(d.Annotations[annotationSource]); err == nil {
		taken.source = source
	}
	return taken, checkSizes(files, taken)
}

// unpack returns the folder of a layout whose blobs are what their names say, and what to
// call when it is no longer wanted.
func unpack(file string) (folder string, remove func(), err error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", nil, err
	}
	if info.IsDir() {
		return file, func() {}, checkBlobs(file)
	}
	in, err := os.Open(file)
	if err != nil {
		return "", nil, err
	}
	defer in.Close()
	folder, err = os.MkdirTemp(filepath.Dir(file), ".tekgate-load-*")
	if err != nil { // the archive may lie on a medium that cannot be written
		folder, err = os.MkdirTemp("", "tekgate-load-*")
	}
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) }
	if err := unpackInto(folder, tar.NewReader(in), info.Size()); err != nil {
		remove()
		return "", nil, err
	}
	return folder, remove, nil
}

// unpackInto writes the files of an archive of the given size.
func unpackInto(folder string, in *tar.Reader, archive int64) error {
	for first := true; ; first = false {
		header, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && first:
			return tar.ErrHeader
		case err != nil:
			return err
		}
		name := strings.TrimPrefix(header.Name, "./")
		if header.Typeflag != tar.TypeReg || !inLayout.MatchString(name) {
			continue
		}
		// A sparse file takes little room in an archive, and fills a disk.
		if header.Size > archive {
			return fmt.Errorf("%s is larger than the archive, which is damaged or was changed: get it again", name)
		}
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := unpackFile(path, name, in); err != nil {
			return err
		}
	}
}

func unpackFile(path, name string, in io.Reader) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is in it twice", name)
	}
	if err != nil {
		return err
	}
	return errors.Join(copyVerified(out, in, name), out.Close())
}
