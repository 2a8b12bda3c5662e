package registry_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

func transfer(t *testing.T, s *server, from string, done image.Rewritten) registry.Transfer {
	t.Helper()
	source := ref(t, s.host+"/"+from)
	return registry.Transfer{Image: done, Sources: []image.Reference{source}}
}

func mustCopy(t *testing.T, options registry.Options, request registry.CopyRequest) []registry.TransferResult {
	t.Helper()
	results, err := registry.Copy(t.Context(), request, options)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestCopy(t *testing.T) {
	source, mirror := start(t), startTLS(t)
	both := source.push(t, "both:v1", multi(t, "linux/amd64", "linux/arm64", "windows/amd64"))
	one := source.push(t, "one:v1", single(t, "linux/amd64"))
	mirror.answer(password)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	login(t, mirror.host, "user", "pass")
	options := quick
	options.CAFile = mirror.file
	progress := &recorder{}
	request := registry.CopyRequest{Progress: progress, Transfers: []registry.Transfer{
		transfer(t, source, "both:v1", to(t, "a.io/both:v1", mirror.host+"/t/both:v1")),
		transfer(t, source, "one@"+one, to(t, "a.io/one@"+one, mirror.host+"/t/one@"+one)),
	}}
	want := []string{both, one}
	for i, r := range mustCopy(t, options, request) {
		if r.Outcome != registry.Copied || r.Digest != want[i] || r.Subset() {
			t.Errorf("%s: %s, digest %s: %v", r.Image.From, r.Outcome, r.Digest, r.Err)
		}
	}
	progress.check(t, 2)
	// An image without a tag gets one, and is there by its digest.
	for _, at := range []string{"/t/one@" + one, "/t/one:digest-" + one[7:19], "/t/both:v1@" + both} {
		if got := probe(t, options, nil, to(t, "a.io/x", mirror.host+at)); got.Status != registry.StatusOK {
			t.Errorf("%s: %s: %v", at, got.Status, got.Err)
		}
	}
	before, _ := mirror.counts()
	for _, r := range mustCopy(t, options, request) {
		if r.Outcome != registry.Present {
			t.Errorf("the second time %s is %s: %v", r.Image.From, r.Outcome, r.Err)
		}
	}
	if after, _ := mirror.counts(); after != before {
		t.Errorf("the second time %d layers were moved", after-before)
	}
}

// recorder checks that progress adds up.
type recorder struct {
	mu           sync.Mutex
	total, added map[string]int64
	done         int
}

func (r *recorder) Start(image string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.total == nil {
		r.total, r.added = map[string]int64{}, map[string]int64{}
	}
	r.total[image] = bytes
}

func (r *recorder) Add(image string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.added[image] += bytes
}

func (r *recorder) Done(registry.TransferResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
}

func (r *recorder) check(t *testing.T, images int) {
	t.Helper()
	if r.done != images || len(r.total) != images {
		t.Errorf("%d images began and %d ended, want %d", len(r.total), r.done, images)
	}
	for image, total := range r.total {
		if total == 0 || r.added[image] != total {
			t.Errorf("%s: %d of %d bytes were reported", image, r.added[image], total)
		}
	}
}

// The living name of an image comes first, what is written is the fallback.
func TestCopySources(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "second:v1", multi(t, "linux/amd64"))
	done := to(t, "a.io/x:v1", mirror.host+"/x:v1")
	results := mustCopy(t, quick, registry.CopyRequest{Transfers: []registry.Transfer{
		{Image: done, Sources: []image.Reference{ref(t, source.host+"/first:v1"), ref(t, source.host+"/second:v1")}},
		{Image: to(t, "a.io/y:v1", mirror.host+"/y:v1"), Sources: []image.Reference{ref(t, source.host+"/first:v1"),
			ref(t, "127.0.0.1:1/y:v1")}},
	}})
	if r := results[0]; r.Outcome != registry.Copied || r.Digest != digest || r.Source.Path != "second" {
		t.Errorf("%s from %s: %v", r.Outcome, r.Source, r.Err)
	}
	if r := results[1]; r.Outcome != registry.Failed || !strings.Contains(r.Err.Error(), "first:v1") {
		t.Errorf("%s: %v", r.Outcome, r.Err)
	}
}

// Windows layers are large, and leaving them out changes the digest.
func TestTrap37_LeavingPlatformsOutIsSaidAndRefused(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "x:v1", multi(t, "linux/amd64", "linux/arm64", "windows/amd64"))
	source.push(t, "win:v1", multi(t, "windows/amd64"))
	free := to(t, "a.io/x:v1", mirror.host+"/x:v1")
	pinned := to(t, "a.io/p:v1@"+digest, mirror.host+"/p:v1@"+digest)
	all := to(t, "a.io/all:v1@"+digest, mirror.host+"/all:v1@"+digest)
	win := to(t, "mcr.microsoft.com/powershell:nanoserver", mirror.host+"/powershell:nanoserver")
	results := mustCopy(t, quick, registry.CopyRequest{Platforms: []string{"linux/amd64"},
		Transfers: []registry.Transfer{
			transfer(t, source, "x:v1", free), transfer(t, source, "x:v1", pinned), transfer(t, source, "win:v1", win),
		}})
	if r := results[0]; r.Outcome != registry.Copied || !r.Subset() || r.SourceDigest != digest {
		t.Errorf("%s: %v, subset %v", r.Outcome, r.Err, r.Subset())
	}
	if got := probe(t, quick, nil, free); strings.Join(got.Platforms, " ") != "linux/amd64" {
		t.Errorf("platforms %v", got.Platforms)
	}
	if r := results[1]; r.Outcome != registry.Failed || !strings.Contains(r.Err.Error(),
		"leaving platforms out changes its digest") || !strings.Contains(r.Remedy, "relock") {
		t.Errorf("%s: %v: %s", r.Outcome, r.Err, r.Remedy)
	}
	if r := results[2]; r.Outcome != registry.Unneeded {
		t.Errorf("%s: %v", r.Outcome, r.Err)
	}
	// All platforms that there are is no subset.
	results = mustCopy(t, quick,
		registry.CopyRequest{Platforms: []string{"linux/amd64", "linux/arm64", "windows/amd64"},
			Transfers: []registry.Transfer{transfer(t, source, "x:v1", all)}})
	if r := results[0]; r.Outcome != registry.Copied || r.Subset() {
		t.Errorf("%s: %v", r.Outcome, r.Err)
	}
}

func TestCopyDoesNotClobber(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "x:v1", multi(t, "linux/amd64"))
	mine := mirror.push(t, "x:v1", single(t, "linux/amd64"))
	request := registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", mirror.host+"/x:v1"))}}
	if r := mustCopy(t, quick, request)[0]; r.Outcome != registry.Failed || !strings.Contains(r.Err.Error(), mine) ||
		!strings.Contains(r.Remedy, "--overwrite") {
		t.Errorf("%s: %v: %s", r.Outcome, r.Err, r.Remedy)
	}
	request.Overwrite = true
	if r := mustCopy(t, quick, request)[0]; r.Outcome != registry.Copied || r.Digest != digest {
		t.Errorf("%s: %v", r.Outcome, r.Err)
	}
}

// Interrupted half-way, a copy goes on where it was: what arrived is not sent
// again.
func TestCopyResumes(t *testing.T) {
	source, mirror := start(t), start(t)
	index := multi(t, "linux/amd64", "linux/arm64")
	digest := source.push(t, "x:v1", index)
	total := layersOf(t, index)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent atomic.Int32
	mirror.answer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		n := sent.Add(1)
		if n < 4 {
			return false
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if n == 4 {
			for arrived := 0; arrived < 3; arrived, _ = mirror.counts() {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}
		<-r.Context().Done()
		return true
	})
	options := quick
	options.Jobs = 1
	request := registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", mirror.host+"/x:v1"))}}
	results, err := registry.Copy(ctx, request, options)
	if err != nil || results[0].Outcome != registry.Failed {
		t.Fatalf("the interrupted copy: %v, %+v", err, results)
	}
	first, _ := mirror.counts()
	mirror.answer(nil)
	if r := mustCopy(t, options, request)[0]; r.Outcome != registry.Copied || r.Digest != digest {
		t.Fatalf("%s: %v", r.Outcome, r.Err)
	}
	if both, _ := mirror.counts(); first < 3 || first >= total || both != total {
		t.Errorf("%d layers were sent first and %d in all, of %d", first, both, total)
	}
}

func layersOf(t *testing.T, index v1.ImageIndex) int {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, d := range manifest.Manifests {
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		n += len(layers) + 1 // and the configuration
	}
	return n
}

// On a line that breaks all the time a copy arrives all the same.
func TestCopyOverABadLine(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "x:v1", multi(t, "linux/amd64", "linux/arm64"))
	var n atomic.Int32
	bad := func(w http.ResponseWriter, _ *http.Request) bool {
		switch n.Add(1) % 9 {
		case 3:
			reset(w)
		case 6:
			w.WriteHeader(http.StatusBadGateway)
		default:
			return false
		}
		return true
	}
	source.answer(bad)
	mirror.answer(bad)
	options := quick
	options.Attempts, options.MaxWait = 20, 10*time.Millisecond
	r := mustCopy(t, options, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
	if r.Outcome != registry.Copied || r.Digest != digest {
		t.Errorf("%s: %v", r.Outcome, r.Err)
	}
}

// A line that swallows packets and says nothing is given up, and tried again.
func TestCopyOverALineThatStalls(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "x:v1", multi(t, "linux/amd64"))
	var swallowed atomic.Int32
	source.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") || swallowed.Add(1) > 2 {
			return false
		}
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	})
	options := quick
	options.Stall = 100 * time.Millisecond
	r := mustCopy(t, options, registry.CopyRequest{Transfers: []registry.Transfer{transfer(t, source, "x:v1",
		to(t, "a.io/x:v1", mirror.host+"/x:v1"))}})[0]
	if r.Outcome != registry.Copied || r.Digest != digest || swallowed.Load() < 3 {
		t.Errorf("%s after %d: %v", r.Outcome, swallowed.Load(), r.Err)
	}
}
