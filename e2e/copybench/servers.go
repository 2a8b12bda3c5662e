package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	sourceDelay = 30 * time.Millisecond
	targetDelay = 10 * time.Millisecond
	sourceRate  = 20 << 20 // bytes per second and response

	images = 14

	baseSize  = 2 << 20
	ownSize   = 6 << 20
	smallSize = 2 << 20
)

var platforms = []string{"amd64", "arm64", "ppc64le", "s390x"}

// serve serves a handler on this machine and returns its host.
func serve(handler http.Handler) string {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(listener, handler) }()
	return listener.Addr().String()
}

// document is a manifest or an index.
type document struct {
	mediaType string
	raw       []byte
}

// source is a registry with all images.
type source struct {
	requests  atomic.Int64
	blobs     map[digest.Digest][]byte
	manifests map[string]document // by tag of a repository, and by digest
	tags      map[string]digest.Digest
}

// newSource makes the images. The last is called like Tekgate's own, which is a part of every
// installation.
func newSource(own string) *source {
	s := &source{blobs: map[digest.Digest][]byte{}, manifests: map[string]document{}, tags: map[string]digest.Digest{}}
	random := rand.New(rand.NewChaCha8([32]byte{1}))
	bases := map[string]ocispec.Descriptor{}
	for _, p := range platforms {
		bases[p] = s.layer(random, baseSize)
	}
	for i := range images {
		name := fmt.Sprintf("image-%d:v1", i)
		if i == images-1 {
			name = own
		}
		index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
		for _, p := range platforms {
			platform := ocispec.Platform{OS: "linux", Architecture: p}
			config := s.blob(mustJSON(ocispec.Image{Platform: platform, Author: name}), ocispec.MediaTypeImageConfig)
			layers := []ocispec.Descriptor{bases[p], s.layer(random, ownSize), s.layer(random, smallSize)}
			d := s.document(ocispec.MediaTypeImageManifest, mustJSON(ocispec.Manifest{
				Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config,
				Layers: layers}))
			d.Platform = &platform
			index.Manifests = append(index.Manifests, d)
		}
		s.tags[name] = s.document(ocispec.MediaTypeImageIndex, mustJSON(index)).Digest
	}
	return s
}

func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

func (s *source) layer(random *rand.Rand, size int) ocispec.Descriptor {
	content := make([]byte, size)
	for i := 0; i < size; i += 8 {
		n := random.Uint64()
		for j := range 8 {
			content[i+j] = byte(n >> (8 * j))
		}
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.NoCompression) // skopeo compresses what is not
	if err == nil {
		_, err = w.Write(content)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return s.blob(packed.Bytes(), ocispec.MediaTypeImageLayerGzip)
}

func (s *source) blob(content []byte, mediaType string) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	s.blobs[d.Digest] = content
	return d
}

func (s *source) document(mediaType string, raw []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	s.manifests[d.Digest.String()] = document{mediaType, raw}
	return d
}

// names are the images, as they are called at the target.
func (s *source) names() (all []string) {
	for name := range s.tags {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func (s *source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	time.Sleep(sourceDelay)
	repository, kind, name := split(r.URL.Path)
	switch kind {
	case "manifests":
		if d, ok := s.tags[repository+":"+name]; ok {
			name = d.String()
		}
		if d, ok := s.manifests[name]; ok {
			write(w, r, d.mediaType, d.raw, 0)
			return
		}
	case "blobs":
		if content, ok := s.blobs[digest.Digest(name)]; ok {
			write(w, r, "application/octet-stream", content, sourceRate)
			return
		}
	case "":
		return
	}
	http.NotFound(w, r)
}

// split takes a path of the registry's API apart.
func split(path string) (repository, kind, name string) {
	path = strings.TrimPrefix(path, "/v2/")
	for _, kind := range []string{"manifests", "blobs"} {
		if repository, name, ok := strings.Cut(path, "/"+kind+"/"); ok {
			return repository, kind, name
		}
	}
	return "", strings.Trim(path, "/"), ""
}

// write answers with content, at a rate in bytes per second.
func write(w http.ResponseWriter, r *http.Request, mediaType string, content []byte, rate int) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(content[:min(len(content), 64<<10)]).String())
	if rate > 0 {
		w.Header().Del("Docker-Content-Digest")
	}
	if r.Method == http.MethodHead {
		return
	}
	if rate == 0 {
		_, _ = w.Write(content)
		return
	}
	const chunk = 128 << 10
	began := time.Now()
	for sent := 0; sent < len(content); {
		n := min(chunk, len(content)-sent)
		if _, err := w.Write(content[sent : sent+n]); err != nil {
			return
		}
		sent += n
		time.Sleep(time.Duration(sent)*time.Second/time.Duration(rate) - time.Since(began))
	}
}

// target is a registry that keeps manifests, and of blobs that they are there.
type target struct {
	requests atomic.Int64

	mu        sync.Mutex
	blobs     map[string]int64    // by repository and digest, in bytes
	manifests map[string]document // by repository and digest
	tags      map[string]string   // digests, by repository and tag
	uploads   int
}

func newTarget() *target {
	return &target{blobs: map[string]int64{}, manifests: map[string]document{}, tags: map[string]string{}}
}

// holds compares the target with the source.
func (t *target) holds(s *source) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, d := range s.tags {
		if t.tags[name] != d.String() {
			return fmt.Errorf("%s is %q at the target, want %s", name, t.tags[name], d)
		}
	}
	for _, name := range s.names() {
		repository, _, _ := strings.Cut(name, ":")
		if err := t.complete(repository, t.tags[name]); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) complete(repository, name string) error {
	var inside struct {
		Manifests, Layers []ocispec.Descriptor
		Config            ocispec.Descriptor
	}
	d, ok := t.manifests[repository+"@"+name]
	if !ok {
		return fmt.Errorf("the target lacks %s of %s", name, repository)
	}
	if err := json.Unmarshal(d.raw, &inside); err != nil {
		return err
	}
	for _, m := range inside.Manifests {
		if err := t.complete(repository, m.Digest.String()); err != nil {
			return err
		}
	}
	for _, l := range inside.Layers {
		if t.blobs[repository+"@"+l.Digest.String()] != l.Size {
			return fmt.Errorf("the target lacks a layer of %s", repository)
		}
	}
	return nil
}

func (t *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.requests.Add(1)
	time.Sleep(targetDelay)
	repository, kind, name := split(r.URL.Path)
	switch {
	case kind == "":
	case kind == "manifests" && r.Method == http.MethodPut:
		t.putManifest(w, r, repository, name)
	case kind == "manifests":
		t.getManifest(w, r, repository, name)
	case r.Method == http.MethodPost:
		t.begin(w, r, repository)
	case r.Method == http.MethodPut || r.Method == http.MethodPatch:
		t.receive(w, r, repository, name)
	default:
		t.mu.Lock()
		size, ok := t.blobs[repository+"@"+name]
		t.mu.Unlock()
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		w.Header().Set("Docker-Content-Digest", name)
	}
}

func (t *target) putManifest(w http.ResponseWriter, r *http.Request, repository, name string) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d := digest.FromBytes(raw).String()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.manifests[repository+"@"+d] = document{r.Header.Get("Content-Type"), raw}
	t.tags[repository+":"+name] = d
	w.Header().Set("Docker-Content-Digest", d)
	w.Header().Set("Location", r.URL.Path)
	w.WriteHeader(http.StatusCreated)
}

func (t *target) getManifest(w http.ResponseWriter, r *http.Request, repository, name string) {
	t.mu.Lock()
	if d, ok := t.tags[repository+":"+name]; ok {
		name = d
	}
	d, ok := t.manifests[repository+"@"+name]
	t.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	write(w, r, d.mediaType, d.raw, 0)
}

// begin begins an upload, or mounts a blob.
func (t *target) begin(w http.ResponseWriter, r *http.Request, repository string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	query := r.URL.Query()
	if size, ok := t.blobs[query.Get("from")+"@"+query.Get("mount")]; ok {
		t.blobs[repository+"@"+query.Get("mount")] = size
		w.Header().Set("Docker-Content-Digest", query.Get("mount"))
		w.Header().Set("Location", "/v2/"+repository+"/blobs/"+query.Get("mount"))
		w.WriteHeader(http.StatusCreated)
		return
	}
	t.uploads++
	w.Header().Set("Location", fmt.Sprintf("/v2/%s/blobs/uploads/%d", repository, t.uploads))
	w.Header().Set("Range", "0-0")
	w.WriteHeader(http.StatusAccepted)
}

// received are uploads in parts: what has come of each.
var received sync.Map

type upload struct {
	size int64
	sum  interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (t *target) receive(w http.ResponseWriter, r *http.Request, repository, name string) {
	key := fmt.Sprintf("%p %s %s", t, repository, name)
	kept, _ := received.LoadOrStore(key, &upload{sum: sha256.New()})
	u := kept.(*upload)
	n, err := io.Copy(u.sum, r.Body)
	if err != nil {
		return
	}
	u.size += n
	if r.Method == http.MethodPatch {
		w.Header().Set("Location", r.URL.Path)
		w.Header().Set("Range", fmt.Sprintf("0-%d", u.size-1))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	received.Delete(key)
	d := r.URL.Query().Get("digest")
	if fmt.Sprintf("sha256:%x", u.sum.Sum(nil)) != d {
		http.Error(w, "digest", http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	t.blobs[repository+"@"+d] = u.size
	t.mu.Unlock()
	w.Header().Set("Docker-Content-Digest", d)
	w.Header().Set("Location", "/v2/"+repository+"/blobs/"+d)
	w.WriteHeader(http.StatusCreated)
}
