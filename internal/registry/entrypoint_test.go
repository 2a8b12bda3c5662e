package registry_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
	"github.com/tekgate/tekgate/internal/registry"
)

// program returns an image that starts a command.
func program(t *testing.T, architecture string, entry ...string) v1.Image {
	t.Helper()
	img, err := mutate.Config(single(t, "linux/"+architecture), v1.Config{Entrypoint: entry, Cmd: []string{"--help"}})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func member(img v1.Image, platform *v1.Platform) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}}
}

// TestEntrypoint holds that what an image starts is read of each platform that is there,
// however the index is written.
func TestEntrypoint(t *testing.T) {
	var absent string // the digest of a manifest that the registry does not have
	handler := imagetest.Registry()
	listen := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if absent != "" && strings.HasSuffix(r.URL.Path, absent) {
			http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(listen.Close)
	host := strings.TrimPrefix(listen.URL, "http://")

	amd64, arm64 := program(t, "amd64", "/e"), program(t, "arm64", "/e")
	missing := program(t, "s390x", "/f")
	digest, err := missing.Digest()
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index,
		member(amd64, &v1.Platform{OS: "linux", Architecture: "amd64"}),
		member(arm64, nil), // an index need not name the platform
		member(missing, &v1.Platform{OS: "linux", Architecture: "s390x"}),
		member(program(t, "", "/attestation"), &v1.Platform{OS: "unknown", Architecture: "unknown"}))
	for tag, add := range map[string]remote.Taggable{"index": index, "single": amd64} {
		imagetest.Push(t, host+"/x:"+tag, add)
	}
	absent = digest.String()
	read := func(name string) (entrypoint.Image, error) {
		ref, err := image.Parse(host + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return registry.Entrypoint(t.Context(), ref, registry.Options{Attempts: 1})
	}
	for tag, want := range map[string]string{"index": "linux/amd64,linux/arm64", "single": "linux/amd64"} {
		got, err := read("x:" + tag)
		if err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		command, why := got.Command(entrypoint.NoArgs)
		if strings.Join(command, " ") != "/e --help" || len(got.Programs) != 1 ||
			strings.Join(got.Programs[0].Platforms, ",") != want || !strings.HasPrefix(got.Digest, "sha256:") {
			t.Errorf("%s: got %+v, which starts %q, %q", tag, got, command, why)
		}
	}
	if _, err := read("x:absent"); err == nil || !strings.Contains(err.Error(), "x:absent") {
		t.Errorf("an image that is not there: error %v", err)
	}
}
