package registries_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/tekgate/tekgate/e2e/registries"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// repository returns oras's view of a repository, which knows the referrers API and the tag in its
// place.
func repository(t *testing.T, name string) *remote.Repository {
	t.Helper()
	r, err := remote.NewRepository(name)
	if err != nil {
		t.Fatal(err)
	}
	r.PlainHTTP = true
	return r
}

// signed pushes an index with a signature as cosign v2 stores it, one as its successor does, and an
// SBOM of one platform, and returns the index's digest.
func signed(t *testing.T, name string) ocispec.Descriptor {
	t.Helper()
	all := index(t, "amd64", "arm64")
	push(t, name+":v1", all)
	r := repository(t, name)
	root, err := r.Resolve(t.Context(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	member, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	push(t, name+":sha256-"+root.Digest.Encoded()+".sig",
		layered(t, "application/vnd.dev.cosign.simplesigning.v1+json"))
	push(t, name+":sha256-"+member.Manifests[0].Digest.Hex+".sbom", layered(t, "text/spdx+json"))
	push(t, name+":sha256-"+strings.Repeat("0", 64)+".sig", layered(t, "text/of-another-image"))
	_, err = oras.PackManifest(t.Context(), r, oras.PackManifestVersion1_1, "application/vnd.example.signature",
		oras.PackManifestOptions{Subject: &root})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func layered(t *testing.T, mediaType string) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		static.NewLayer([]byte(mediaType), types.MediaType(mediaType)))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// attachments returns what belongs to an image, in the forms in which signed has stored it.
func attachments(t *testing.T, name string, root ocispec.Descriptor) (tags []string, referrers int) {
	t.Helper()
	r := repository(t, name)
	err := r.Tags(context.WithoutCancel(t.Context()), "", func(found []string) error {
		for _, tag := range found {
			if strings.HasPrefix(tag, "sha256-") && strings.Contains(tag, ".") {
				tags = append(tags, tag)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = r.Referrers(t.Context(), root, "", func(found []ocispec.Descriptor) error {
		for _, d := range found {
			if _, err := r.Resolve(t.Context(), d.Digest.String()); err != nil {
				t.Errorf("referrer %s: %v", d.Digest, err)
			}
		}
		referrers += len(found)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tags, referrers
}

// TestSignatures holds that what belongs to an image moves with it, by copy and through an archive,
// and that nothing of other images does.
func TestSignatures(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{})
		root := signed(t, source.Host+"/app")
		r := copied(t, source.Host+"/app:v1", mirror.Host+"/t/app:v1")
		if r.Outcome != registry.Copied || r.Attached != 3 {
			t.Fatalf("%s with %d: %v", r.Outcome, r.Attached, r.Err)
		}
		check := func(where string) {
			t.Helper()
			if tags, referrers := attachments(t, where, root); len(tags) != 2 || referrers != 1 {
				t.Errorf("%s has tags %q and %d referrers, want 2 and 1", where, tags, referrers)
			}
		}
		check(mirror.Host + "/t/app")
		r = copied(t, source.Host+"/app:v1", mirror.Host+"/t/app:v1")
		if r.Outcome != registry.Present || r.Attached != 3 {
			t.Errorf("once more: %s with %d: %v", r.Outcome, r.Attached, r.Err)
		}

		file := filepath.Join(t.TempDir(), "images.tar")
		saved, err := registry.Save(t.Context(), registry.SaveRequest{File: file, Transfers: []registry.Transfer{{
			Image:   image.Rewritten{From: parse(t, "from.io/app:v1")},
			Sources: []image.Reference{parse(t, source.Host+"/app:v1")},
		}}}, options)
		if err != nil || saved[0].Outcome != registry.Copied || saved[0].Attached != 3 {
			t.Fatalf("saving: %v, %+v", err, saved)
		}
		rules, err := image.Mirror{Registry: mirror.Host + "/loaded"}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := registry.Load(t.Context(), registry.LoadRequest{File: file, Rules: rules}, options)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range loaded {
			if r.Outcome == registry.Failed {
				t.Errorf("loading %s: %v", r.Image.From, r.Err)
			}
		}
		check(mirror.Host + "/loaded/app")
	})
}

// TestSignaturesOfAClosedSource holds that an image which is there does not fail for a source that
// is out of reach.
func TestSignaturesOfAClosedSource(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{})
		root := signed(t, source.Host+"/app")
		gate, door := gated(t, source.Host)
		from := strings.TrimPrefix(gate, "http://") + "/app@" + root.Digest.String()
		if r := copied(t, from, mirror.Host+"/app:v1"); r.Outcome != registry.Copied {
			t.Fatalf("%s: %v", r.Outcome, r.Err)
		}
		door.Store(true)
		if r := copied(t, from, mirror.Host+"/app:v1"); r.Outcome != registry.Present {
			t.Errorf("with the source closed: %s: %v", r.Outcome, r.Err)
		}
	})
}
