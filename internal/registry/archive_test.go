package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

func rules(t *testing.T, m image.Mirror) *image.Rules {
	t.Helper()
	r, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func save(t *testing.T, request registry.SaveRequest) {
	t.Helper()
	results, err := registry.Save(t.Context(), request, quick)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Outcome == registry.Failed {
			t.Fatalf("%s: %v", r.Image.From, r.Err)
		}
	}
}

// What is loaded from an archive has the digests that it had.
func TestSaveLoad(t *testing.T) {
	source, mirror := start(t), start(t)
	both := source.push(t, "both:v1", multi(t, "linux/amd64", "linux/arm64"))
	one := source.push(t, "one:v1", single(t, "linux/amd64"))
	file := filepath.Join(t.TempDir(), "images.tar")
	request := registry.SaveRequest{File: file, Transfers: []registry.Transfer{
		transfer(t, source, "both:v1", to(t, "ghcr.io/a/both:v1", "unused/x")),
		transfer(t, source, "one@"+one, to(t, "cgr.dev/a/one@"+one, "unused/x")),
	}}
	save(t, request)
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	save(t, request)
	second, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("the same images give another archive")
	}
	if _, err := os.Stat(file + ".partial"); !os.IsNotExist(err) {
		t.Errorf("the partial folder is left: %v", err)
	}
	load := registry.LoadRequest{File: file, Rules: rules(t, image.Mirror{Registry: mirror.host + "/t"})}
	for range 2 {
		results, err := registry.Load(t.Context(), load, quick)
		if err != nil || len(results) != 2 {
			t.Fatalf("%d results and error %v", len(results), err)
		}
		for _, r := range results {
			if r.Outcome == registry.Failed {
				t.Errorf("%s: %v", r.Image.From, r.Err)
			}
		}
	}
	for _, at := range []string{"/t/both:v1@" + both, "/t/one@" + one} {
		if got := probe(t, quick, nil, to(t, "a.io/x", mirror.host+at)); got.Status != registry.StatusOK {
			t.Errorf("%s: %s: %v", at, got.Status, got.Err)
		}
	}
	if n, _ := mirror.counts(); n != 12 {
		t.Errorf("%d blobs were sent, want the 12 that there are, once", n)
	}
	leftover, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".tekgate-load-*"))
	if err != nil || len(leftover) > 0 {
		t.Errorf("load leaves %v", leftover)
	}
}

// An interrupted save goes on where it was.
func TestSaveResumes(t *testing.T) {
	source := start(t)
	index := multi(t, "linux/amd64", "linux/arm64")
	source.push(t, "x:v1", index)
	file := filepath.Join(t.TempDir(), "images.tar")
	request := registry.SaveRequest{File: file, Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", "unused/x"))}}
	layers := countLayers(source)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	layers.at(4, cancel)
	results, err := registry.Save(ctx, request, quick)
	if err != nil || results[0].Outcome != registry.Failed {
		t.Fatalf("the interrupted save: %v, %+v", err, results)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Fatalf("half an archive looks whole: %v", err)
	}
	stored, err := filepath.Glob(file + ".partial/blobs/sha256/*")
	if err != nil || len(stored) == 0 {
		t.Fatalf("nothing was kept: %v", err)
	}
	layers.at(-1, nil)
	before := layers.served.Load()
	save(t, request)
	// Each platform's configuration is read again, to know the layers.
	if again := int(layers.served.Load() - before); again > layersOf(t, index)-len(stored)+2 {
		t.Errorf("%d blobs were fetched again, though %d of %d were there", again, len(stored), layersOf(t, index))
	}
}

// layerCount interrupts after so many layers.
type layerCount struct {
	served atomic.Int32
	limit  atomic.Int32
	cancel func()
}

func countLayers(s *server) *layerCount {
	c := &layerCount{}
	s.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		if c.served.Add(1) == c.limit.Load() {
			c.cancel()
			<-r.Context().Done()
			return true
		}
		return false
	})
	return c
}

func (c *layerCount) at(n int32, cancel func()) {
	c.cancel = cancel
	c.limit.Store(n)
}

// An archive writes nothing but an image layout, wherever it comes from.
func TestLoadIgnoresForeignPaths(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "sub", "images.tar")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for name, content := range map[string]string{
		"../../evil": "x", "/evil": "x", "blobs/sha256/../../../evil": "x",
		"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": `{"schemaVersion":2,"manifests":[]}`,
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)),
			Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := registry.Load(t.Context(), registry.LoadRequest{File: file,
		Rules: rules(t, image.Mirror{Registry: "r.example.com/t"})}, quick)
	if err != nil || len(results) != 0 {
		t.Errorf("%d results and error %v", len(results), err)
	}
	found, err := filepath.Glob(filepath.Join(folder, "evil"))
	if err != nil || len(found) > 0 {
		t.Errorf("%v was written", found)
	}
}

func TestLoadErrors(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.tar")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{filepath.Join(t.TempDir(), "none.tar"), empty} {
		_, err := registry.Load(t.Context(), registry.LoadRequest{File: file,
			Rules: rules(t, image.Mirror{Registry: "r.example.com/t"})}, quick)
		if err == nil || !strings.Contains(err.Error(), "reading archive "+file) {
			t.Errorf("error %v does not name %s", err, file)
		}
	}
}
