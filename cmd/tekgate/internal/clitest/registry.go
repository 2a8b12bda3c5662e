package clitest

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/internal/imagetest"
)

// Mirror starts a registry in this process and returns its host.
func Mirror(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(imagetest.Registry())
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// Platform returns an image of one platform.
func Platform(t testing.TB, architecture string) v1.Image {
	t.Helper()
	return imagetest.Single(t, "linux/"+architecture)
}

// Push pushes an image, and returns its digest.
func Push(t testing.TB, ref string, what remote.Taggable) string {
	t.Helper()
	return imagetest.Push(t, ref, what)
}

// Digest returns the digest of what a registry holds.
func Digest(t testing.TB, ref string) string {
	t.Helper()
	return imagetest.Digest(t, ref)
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
	return imagetest.Index(t, "linux/amd64", "linux/arm64")
}
