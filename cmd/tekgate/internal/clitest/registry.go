package clitest

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Mirror starts a registry in this process and returns its host.
func Mirror(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Platform returns an image of one platform.
func Platform(t testing.TB, architecture string) v1.Image {
	t.Helper()
	img, err := random.Image(512, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// Push pushes an image, and returns its digest.
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

// Digest returns the digest of what a registry holds.
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

// Tags returns the tags of a repository.
func Tags(t testing.TB, repository string) []string {
	t.Helper()
	at, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := remote.List(at)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// Index returns an image of two platforms.
func Index(t testing.TB) v1.ImageIndex {
	t.Helper()
	all := v1.ImageIndex(empty.Index)
	for _, architecture := range []string{"amd64", "arm64"} {
		all = mutate.AppendManifests(all,
			mutate.IndexAddendum{Add: Platform(t, architecture), Descriptor: v1.Descriptor{
				Platform: &v1.Platform{OS: "linux", Architecture: architecture},
			}})
	}
	return all
}
