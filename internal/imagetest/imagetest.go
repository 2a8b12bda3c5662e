// Package imagetest makes random images and pushes them to registries, for tests.
package imagetest

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry returns a registry that keeps images in memory.
func Registry() http.Handler { return registry.New(registry.Logger(log.New(io.Discard, "", 0))) }

// Single returns an image for a platform such as linux/amd64, with layers of its own.
func Single(t testing.TB, platform string) v1.Image {
	t.Helper()
	img, err := random.Image(2048, 3)
	if err != nil {
		t.Fatal(err)
	}
	return ForPlatform(t, img, platform)
}

// ForPlatform returns an image whose configuration names a platform.
func ForPlatform(t testing.TB, img v1.Image, platform string) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	p := parse(t, platform)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// AsUser returns an image whose configuration names a user.
func AsUser(t testing.TB, img v1.Image, user string) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Config.User = user
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// Index returns an index of images, one for each platform.
func Index(t testing.TB, platforms ...string) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, platform := range platforms {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: Single(t, platform),
			Descriptor: v1.Descriptor{Platform: parse(t, platform)}})
	}
	return index
}

func parse(t testing.TB, platform string) *v1.Platform {
	t.Helper()
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Push pushes an image or an index, and returns its digest.
func Push(t testing.TB, ref string, what remote.Taggable) string {
	t.Helper()
	at, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(at, what); err != nil {
		t.Fatal(err)
	}
	return Digest(t, ref)
}

// Digest returns the digest of what a registry has.
func Digest(t testing.TB, ref string) string {
	t.Helper()
	at, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	head, err := remote.Head(at)
	if err != nil {
		t.Fatal(err)
	}
	return head.Digest.String()
}

// Bundle pushes a Tekton bundle of texts of objects, by their kinds and names such as task/clone, and returns its
// digest.
func Bundle(t testing.TB, ref string, objects map[string]string) string {
	t.Helper()
	img := empty.Image
	for key, text := range objects {
		kind, called, _ := strings.Cut(key, "/")
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		err := w.WriteHeader(&tar.Header{Name: called, Mode: 0o600, Size: int64(len(text))})
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		img, err = mutate.Append(img, mutate.Addendum{
			Layer: static.NewLayer(archive.Bytes(), types.OCIUncompressedLayer),
			Annotations: map[string]string{"dev.tekton.image.apiVersion": "v1", "dev.tekton.image.kind": kind,
				"dev.tekton.image.name": called},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return Push(t, ref, img)
}
