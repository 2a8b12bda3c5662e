package registry_test

import (
	"io"
	"log"
	"net/http"
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

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// program returns an image that starts a command.
func program(t *testing.T, architecture string, entry ...string) v1.Image {
	t.Helper()
	img, err := random.Image(64, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config.Entrypoint, config.Config.Cmd = entry, []string{"--help"}
	if img, err = mutate.ConfigFile(img, config); err != nil {
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
	handler := inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0)))
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
		ref, err := name.NewTag(host+"/x:"+tag, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Push(ref, add); err != nil {
			t.Fatal(err)
		}
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
