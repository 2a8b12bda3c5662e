package registry_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// server is a registry of this process.
type server struct {
	host string
	file string // its certificate, where it has one

	mu      sync.Mutex
	handler http.Handler
	// before may answer in the registry's place, and then returns true.
	before func(http.ResponseWriter, *http.Request) bool
	blobs  int // layers that arrived
	pulls  int // layers that were fetched
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	s.handler.ServeHTTP(w, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/"):
		s.blobs++
	case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/"):
		s.pulls++
	}
}

// answer sets what answers before the registry does.
func (s *server) answer(before func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *server) counts() (blobs, pulls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs, s.pulls
}

func newServer() *server {
	return &server{handler: inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0)))}
}

func start(t *testing.T) *server {
	t.Helper()
	s := newServer()
	listen := httptest.NewServer(s)
	t.Cleanup(listen.Close)
	s.host = strings.TrimPrefix(listen.URL, "http://")
	return s
}

func startTLS(t *testing.T) *server {
	t.Helper()
	s := newServer()
	listen := httptest.NewUnstartedServer(s)
	listen.Config.ErrorLog = log.New(io.Discard, "", 0)
	listen.StartTLS()
	t.Cleanup(listen.Close)
	s.host = strings.TrimPrefix(listen.URL, "https://")
	s.file = filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: listen.Certificate().Raw})
	if err := os.WriteFile(s.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// push puts something on a server and returns its digest.
func (s *server) push(t *testing.T, ref string, what remote.Taggable) string {
	t.Helper()
	at, err := name.ParseReference(s.host + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(at, what); err != nil {
		t.Fatal(err)
	}
	head, err := remote.Head(at)
	if err != nil {
		t.Fatal(err)
	}
	return head.Digest.String()
}

// single is an image for one platform, with layers of its own.
func single(t *testing.T, platform string) v1.Image {
	t.Helper()
	img, err := random.Image(2048, 3)
	if err != nil {
		t.Fatal(err)
	}
	return forPlatform(t, img, platform)
}

func forPlatform(t *testing.T, img v1.Image, platform string) v1.Image {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	img, err = mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// multi is an index of images, one for each platform.
func multi(t *testing.T, platforms ...string) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, platform := range platforms {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: single(t, platform),
			Descriptor: v1.Descriptor{Platform: p}})
	}
	return index
}

func ref(t *testing.T, s string) image.Reference {
	t.Helper()
	r, err := image.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// to is an image that a rule sends somewhere.
func to(t *testing.T, from, to string) image.Rewritten {
	t.Helper()
	return image.Rewritten{From: ref(t, from), To: ref(t, to), Rule: "test rule"}
}

// quick are options that wait for nobody.
var quick = registry.Options{Backoff: time.Millisecond}
