package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

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

// interruptedSave pushes an image and saves it until the fourth layer is asked for.
func interruptedSave(t *testing.T, source *server, index v1.ImageIndex) (registry.SaveRequest, *layerCount) {
	t.Helper()
	source.push(t, "x:v1", index)
	request := registry.SaveRequest{File: filepath.Join(t.TempDir(), "images.tar"),
		Transfers: []registry.Transfer{transfer(t, source, "x:v1", to(t, "a.io/x:v1", "unused/x"))}}
	layers := countLayers(source)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	layers.at(4, func() {
		for len(keptOf(t, request.File)) == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	})
	results, err := registry.Save(ctx, request, quick)
	if err != nil || results[0].Outcome != registry.Failed {
		t.Fatalf("the interrupted save: %v, %+v", err, results)
	}
	return request, layers
}

// keptOf returns the blobs that an interrupted save has left.
func keptOf(t *testing.T, file string) []string {
	t.Helper()
	stored, err := filepath.Glob(file + ".partial/blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// An interrupted save goes on where it was.
func TestSaveResumes(t *testing.T) {
	source := start(t)
	index := multi(t, "linux/amd64", "linux/arm64")
	request, layers := interruptedSave(t, source, index)
	file := request.File
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Fatalf("half an archive looks whole: %v", err)
	}
	stored := keptOf(t, file)
	layers.at(-1, nil)
	before := layers.settled()
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

// settled returns how many were served once no request of an interrupted run is on its way.
func (c *layerCount) settled() int32 {
	for n := c.served.Load(); ; {
		time.Sleep(50 * time.Millisecond)
		now := c.served.Load()
		if now == n {
			return n
		}
		n = now
	}
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

// repack writes a copy of an archive with other contents of some files, of which an empty
// one leaves the file out, and files that are added.
func repack(t *testing.T, file string, change func(name string, content []byte) []byte, more ...tarred) string {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var all []tarred
	for r := tar.NewReader(in); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if content = change(header.Name, content); len(content) > 0 {
			all = append(all, tarred{header.Name, content})
		}
	}
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, f := range append(all, more...) {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)),
			Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(t.TempDir(), "changed.tar")
	if err := os.WriteFile(changed, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return changed
}

type tarred struct {
	name    string
	content []byte
}

// An archive that was changed is refused before anything of it is sent, whatever was
// changed: a blob's bytes, the size of a blob in the index, or a second file of a name.
func TestLoadRefusesChangedArchives(t *testing.T) {
	source, mirror := start(t), start(t)
	source.push(t, "both:v1", multi(t, "linux/amd64", "linux/arm64"))
	file := filepath.Join(t.TempDir(), "images.tar")
	save(t, registry.SaveRequest{File: file, Transfers: []registry.Transfer{
		transfer(t, source, "both:v1", to(t, "ghcr.io/a/both:v1", "unused/x")),
	}})
	same := func(_ string, content []byte) []byte { return content }
	one := func(change func([]byte) []byte) func(string, []byte) []byte {
		done := false
		return func(name string, content []byte) []byte {
			if done || !strings.HasPrefix(name, "blobs/sha256/") || json.Valid(content) {
				return content
			}
			done = true
			return change(content)
		}
	}
	flipped := func(content []byte) []byte {
		content[len(content)/2] ^= 1
		return content
	}
	resized := func(name string, content []byte) []byte {
		if name != "index.json" {
			return content
		}
		return regexp.MustCompile(`"size": \d+`).ReplaceAll(content, []byte(`"size": 7`))
	}
	folder := t.TempDir()
	for name, archive := range map[string]string{
		"changed bytes":     repack(t, file, one(flipped)),
		"more bytes":        repack(t, file, one(func(c []byte) []byte { return append(c, 'x') })),
		"fewer bytes":       repack(t, file, one(func(c []byte) []byte { return c[:len(c)-1] })),
		"another size":      repack(t, file, resized),
		"a second index":    repack(t, file, same, tarred{"./index.json", []byte(`{"schemaVersion":2,"manifests":[]}`)}),
		"a changed folder":  unpacked(t, repack(t, file, one(flipped)), folder),
		"a truncated file":  truncated(t, file),
		"a blob is missing": repack(t, file, one(func([]byte) []byte { return nil })),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := registry.Load(t.Context(), registry.LoadRequest{File: archive,
				Rules: rules(t, image.Mirror{Registry: mirror.host + "/t"})}, quick)
			if err == nil || !strings.Contains(err.Error(), "reading archive "+archive) {
				t.Errorf("error %v", err)
			}
			if n, _ := mirror.counts(); n != 0 {
				t.Errorf("%d blobs were sent", n)
			}
		})
	}
}

// unpacked unpacks an archive into a folder, as tar does.
func unpacked(t *testing.T, file, folder string) string {
	t.Helper()
	repack(t, file, func(name string, content []byte) []byte {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return content
	})
	return folder
}

func truncated(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	short := filepath.Join(t.TempDir(), "short.tar")
	if err := os.WriteFile(short, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	return short
}

// What an interrupted save has left is verified again before it goes into the archive.
func TestSaveVerifiesWhatItFinds(t *testing.T) {
	source := start(t)
	index := multi(t, "linux/amd64", "linux/arm64")
	request, layers := interruptedSave(t, source, index)
	file := request.File
	layers.at(-1, nil)
	stored := keptOf(t, file)
	text, err := os.ReadFile(stored[0])
	if err != nil {
		t.Fatal(err)
	}
	text[0] ^= 1
	if err := os.WriteFile(stored[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Save(t.Context(), request, quick); err == nil ||
		!strings.Contains(err.Error(), "has the SHA-256") {
		t.Errorf("a changed blob is saved: error %v", err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the archive exists: %v", err)
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
