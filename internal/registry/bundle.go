package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/tekgate/tekgate/internal/image"
)

// Annotations of a bundle's layers (Tekton Pipelines, docs/tekton-bundle-contracts.md).
const (
	bundleKind = "dev.tekton.image.kind"
	bundleName = "dev.tekton.image.name"
)

// Bundles reads Tekton bundles: images whose layers are Tasks, Pipelines and StepActions. It is safe
// for concurrent use.
type Bundles struct{ client *client }

// NewBundles returns a reader of bundles. The error says what is wrong with the options.
func NewBundles(options Options) (*Bundles, error) {
	c, err := newClient(options)
	if err != nil {
		return nil, err
	}
	return &Bundles{c}, nil
}

// BundleError says why an object of a bundle cannot be read, and what to do.
type BundleError struct {
	Ref    image.Reference
	Cause  error
	Remedy string
	// Unreachable says that the registry did not answer.
	Unreachable bool
}

func (e *BundleError) Error() string {
	return fmt.Sprintf("reading bundle %s: %v: %s", e.Ref, e.Cause, e.Remedy)
}

func (e *BundleError) Unwrap() error { return e.Cause }

// Read returns an object of a bundle as it was written, of at most limit bytes, and the digest of the bundle.
// The kind is compared without regard to case, as Tekton does.
func (b *Bundles) Read(ctx context.Context, ref image.Reference, kind, name string, limit int64) (
	text []byte, digest string, err error) {
	text, digest, err = b.read(ctx, ref, kind, name, limit)
	if err == nil {
		return text, digest, nil
	}
	var known remediedError
	failure := &BundleError{Ref: ref, Cause: plainly(err), Remedy: remedy(statusOf(err), ref, err)}
	if errors.As(err, &known) {
		failure.Remedy = known.remedy
	}
	failure.Unreachable = ctx.Err() == nil && statusOf(err) == StatusUnreachable
	return nil, "", failure
}

func (b *Bundles) read(ctx context.Context, ref image.Reference, kind, name string, limit int64) (
	[]byte, string, error) {
	r, err := b.client.repository(ctx, ref)
	if err != nil {
		return nil, "", err
	}
	root, err := r.get(ctx, reference(ref))
	if err != nil {
		return nil, "", err
	}
	digest, m := root.Digest.String(), root
	if root.isIndex() {
		if m, err = firstMember(ctx, r, root); err != nil {
			return nil, "", err
		}
	}
	var parsed ocispec.Manifest
	if err := json.Unmarshal(m.raw, &parsed); err != nil {
		return nil, "", unusable("its manifest is no JSON: %v", err)
	}
	layer, err := bundled(parsed.Layers, kind, name)
	if err != nil {
		return nil, "", err
	}
	if layer.Size > limit {
		return nil, "", tooLarge(limit)
	}
	raw, err := r.getBlob(ctx, layer)
	if err != nil {
		return nil, "", err
	}
	text, err := unpacked(raw, limit)
	return text, digest, err
}

func firstMember(ctx context.Context, r *repository, root manifest) (manifest, error) {
	index, err := root.index()
	if err != nil {
		return manifest{}, err
	}
	if len(index.Manifests) == 0 {
		return manifest{}, unusable("its index names no image")
	}
	return r.get(ctx, index.Manifests[0].Digest.String())
}

// bundled returns the layer of an object.
func bundled(layers []ocispec.Descriptor, kind, name string) (ocispec.Descriptor, error) {
	var has []string
	for _, layer := range layers {
		own, called := layer.Annotations[bundleKind], layer.Annotations[bundleName]
		if strings.EqualFold(own, kind) && called == name {
			return layer, nil
		}
		if called != "" {
			has = append(has, fmt.Sprintf("%s %q", own, called))
		}
	}
	if len(has) == 0 {
		return ocispec.Descriptor{}, remediedError{errors.New("it is no Tekton bundle: no layer has the annotation " +
			bundleName), "name a bundle that `tkn bundle push` made"}
	}
	slices.Sort(has)
	return ocispec.Descriptor{}, remediedError{fmt.Errorf("it holds no %s %q", strings.ToLower(kind), name),
		"name one that it holds: " + strings.Join(has[:min(len(has), 10)], ", ")}
}

func tooLarge(limit int64) error {
	return remediedError{unusable("the object is larger than %d MiB", limit>>20),
		"no Task is that large: check what the bundle holds"}
}

// unpacked returns the one file of a layer, which Tekton also takes without a tar archive around it.
func unpacked(raw []byte, limit int64) ([]byte, error) {
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		inner, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, unusable("its layer cannot be unpacked: %v", err)
		}
		if raw, err = io.ReadAll(io.LimitReader(inner, limit+tarOverhead+1)); err != nil {
			return nil, unusable("its layer cannot be unpacked: %v", err)
		}
	}
	if int64(len(raw)) > limit+tarOverhead {
		return nil, tooLarge(limit)
	}
	archive := tar.NewReader(bytes.NewReader(raw))
	if _, err := archive.Next(); err == nil {
		if raw, err = io.ReadAll(archive); err != nil {
			return nil, unusable("its layer cannot be unpacked: %v", err)
		}
	}
	if int64(len(raw)) > limit {
		return nil, tooLarge(limit)
	}
	return raw, nil
}

// tarOverhead is what an archive of one file adds to it at most.
const tarOverhead = 64 << 10
