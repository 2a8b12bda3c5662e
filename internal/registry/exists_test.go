package registry_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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
		case strings.Contains(r.URL.Path, "/there/manifests/v1"):
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
		got, err := e.Exists(t.Context(), c.image)
		if got != c.want || (err != nil) != (c.say != "") || (err != nil && !strings.Contains(err.Error(), c.say)) {
			t.Errorf("%s: got %v %v, want %v and %q", c.image, got, err, c.want, c.say)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { _, _ = e.Exists(t.Context(), s.host+"/there:v1") })
	}
	group.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the registry was asked %d times for one image", n)
	}
}
