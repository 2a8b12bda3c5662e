package registry

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

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
// skips what is there.
func Load(ctx context.Context, request LoadRequest, options Options) ([]TransferResult, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	folder, remove, err := unpack(request.File)
	if err != nil {
		return nil, fmt.Errorf("reading archive %s: %w", request.File, err)
	}
	defer remove()
	images, err := contents(folder, request.Rules)
	if err != nil {
		return nil, fmt.Errorf("reading archive %s: %w", request.File, err)
	}
	transfers := make([]Transfer, 0, len(images))
	taken := map[image.Reference]*content{}
	for _, i := range images {
		transfers = append(transfers, Transfer{Image: i.done})
		taken[i.done.From] = i.content
	}
	return c.each(ctx, transfers, request.Progress, func(ctx context.Context, t Transfer) TransferResult {
		content := taken[t.Image.From]
		result := TransferResult{Image: t.Image, Source: t.Image.From, Digest: content.digest.String(),
			SourceDigest: content.source.String()}
		err := c.persist(ctx, func() (err error) {
			result.Outcome, err = c.put(ctx, content, t.Image, request.Overwrite, request.Progress)
			return err
		})
		return result.ended(err, nil)
	}), nil
}

type archived struct {
	done    image.Rewritten
	content *content
}

// contents takes every image of a layout apart.
func contents(folder string, rules *image.Rules) ([]archived, error) {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var images []archived
	for _, d := range manifest.Manifests {
		name := d.Annotations[annotationName]
		if name == "" {
			name = d.Annotations[annotationRef]
		}
		ref, err := image.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("image %s has no name: annotation %s has to say it: %w", d.Digest, annotationName,
				err)
		}
		done, err := rules.Rewrite(ref)
		if err != nil {
			return nil, err
		}
		one := &content{seen: map[v1.Hash]bool{}, source: d.Digest, digest: d.Digest}
		if source, err := v1.NewHash(d.Annotations[annotationSource]); err == nil {
			one.source = source
		}
		if err := one.child(index, d); err != nil {
			return nil, fmt.Errorf("image %s: %w", ref, err)
		}
		if err := checkSizes(folder, d, one); err != nil {
			return nil, fmt.Errorf("image %s: %w", ref, err)
		}
		images = append(images, archived{done: done, content: one})
	}
	return images, nil
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
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(header.Name, "./")
		if header.Typeflag != tar.TypeReg || !inLayout.MatchString(name) {
			continue
		}
		// A sparse file takes little room in an archive, and fills a disk.
		if header.Size > archive {
			return fmt.Errorf("%s is larger than the archive", name)
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
