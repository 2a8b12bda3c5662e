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

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
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
	return &server{handler: imagetest.Registry()}
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
	return imagetest.Push(t, s.host+"/"+ref, what)
}

// single is an image for one platform, multi an index of such images.
var single, forPlatform, multi = imagetest.Single, imagetest.ForPlatform, imagetest.Index

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
