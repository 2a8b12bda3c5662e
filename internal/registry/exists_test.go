package registry_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tekgate/tekgate/internal/registry"
)

// TestExists holds what a registry's answers mean, and that it is asked once.
func TestExists(t *testing.T) {
	s := start(t)
	digest := s.push(t, "there:v1", single(t, "linux/amd64"))
	s.push(t, "headless:v1", single(t, "linux/amd64"))
	s.push(t, "there:latest", single(t, "linux/amd64"))
	var asked atomic.Int32
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.Contains(r.URL.Path, "/closed/"):
			w.WriteHeader(http.StatusForbidden)
			return true
		case strings.Contains(r.URL.Path, "/headless/") && r.Method == http.MethodHead:
			w.WriteHeader(http.StatusMethodNotAllowed)
			return true
		case strings.Contains(r.URL.Path, "/slow/"):
			<-r.Context().Done()
			return true
		case strings.Contains(r.URL.Path, "/there/manifests/v1") && r.Method == http.MethodGet:
			asked.Add(1)
		}
		return false
	})
	e, err := registry.NewExistence(registry.Options{Attempts: 1}, 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		image string
		want  bool
		say   string
	}{
		{s.host + "/there:v1", true, ""},
		{s.host + "/there", true, ""},
		{s.host + "/there@" + digest, true, ""},
		{s.host + "/there@" + other, false, ""},
		{s.host + "/there:v2", false, ""},
		{s.host + "/none:v1", false, ""},
		{s.host + "/headless:v1", true, ""},
		{s.host + "/closed/x:v1", false, "docker login"},
		{s.host + "/slow/x:v1", false, "did not answer within 2s"},
		{"127.0.0.1:1/x:v1", false, "connection refused"},
		{"not an image", false, "not an image"},
	} {
		got, flaws, err := e.Exists(t.Context(), c.image)
		if len(flaws) > 0 {
			t.Errorf("%s: %q", c.image, flaws)
		}
		if got != c.want || (err != nil) != (c.say != "") || (err != nil && !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: got %v %v, want %v and %q", c.image, got, err, c.want, c.say)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { _, _, _ = e.Exists(t.Context(), s.host+"/there:v1") })
	}
	group.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the registry was asked %d times for one image", n)
	}
}

// TestExistsFlaws holds that an image is judged by what a pull and Tekton's look-up need.
func TestExistsFlaws(t *testing.T) {
	s := start(t)
	amd64, arm64 := single(t, "linux/amd64"), single(t, "linux/arm64")
	child := s.push(t, "partial:arm64", arm64)
	s.push(t, "partial:v1", list(t, amd64, "linux/amd64", arm64, "linux/arm64"))
	s.push(t, "twins:v1", list(t, amd64, "linux/amd64", single(t, "linux/amd64"), "linux/amd64"))
	s.push(t, "nameless:v1", list(t, amd64, "linux/amd64", arm64, ""))
	s.push(t, "arm:v1", list(t, arm64, "linux/arm64"))
	s.push(t, "hollow:v1", list(t, amd64, "linux/amd64"))
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		gone := strings.HasSuffix(r.URL.Path, "/partial/manifests/"+child) ||
			strings.Contains(r.URL.Path, "/hollow/blobs/")
		if gone {
			w.WriteHeader(http.StatusNotFound)
		}
		return gone
	})
	e, err := registry.NewExistence(registry.Options{Attempts: 1}, 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"partial:v1":  "the manifest for linux/arm64",
		"twins:v1":    "it lists linux/amd64 twice: Tekton may not find the command of a step that names it",
		"nameless:v1": "without a platform: Tekton may not find the command",
		"arm:v1":      "",
		"hollow:v1":   "for linux/amd64",
	} {
		exists, flaws, err := e.Exists(t.Context(), s.host+"/"+image)
		said := strings.Join(flaws, "\n")
		if !exists || err != nil || (want == "") != (said == "") || !strings.Contains(said, want) {
			t.Errorf("%s: %v, %v: %q, want %q", image, exists, err, said, want)
		}
	}
}

// list returns an index of images and their platforms, in turn.
func list(t *testing.T, images ...any) v1.ImageIndex {
	t.Helper()
	all := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i := 0; i < len(images); i += 2 {
		one := mutate.IndexAddendum{Add: images[i].(v1.Image)}
		if name := images[i+1].(string); name != "" {
			platform, err := v1.ParsePlatform(name)
			if err != nil {
				t.Fatal(err)
			}
			one.Platform = platform
		}
		all = mutate.AppendManifests(all, one)
	}
	return all
}
