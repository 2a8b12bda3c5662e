package registries_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/e2e/registries"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
	"github.com/tekgate/tekgate/internal/registry"
)

var options = registry.Options{Backoff: 10 * time.Millisecond, Attempts: 2}

// each runs a test with each registry.
func each(t *testing.T, test func(t *testing.T, program registries.Program)) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs real registries, which -short does without")
	}
	programs, err := registries.Programs(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		t.Run(program.Name, func(t *testing.T) { test(t, program) })
	}
}

// index makes an index of random images for platforms of Linux.
func index(t *testing.T, architectures ...string) v1.ImageIndex {
	t.Helper()
	platforms := make([]string, 0, len(architectures))
	for _, architecture := range architectures {
		if architecture == "unknown" {
			platforms = append(platforms, "unknown/unknown")
		} else {
			platforms = append(platforms, "linux/"+architecture)
		}
	}
	return imagetest.Index(t, platforms...)
}

var push = imagetest.Push

func parse(t *testing.T, text string) image.Reference {
	t.Helper()
	ref, err := image.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// copied copies an image to where it is called from.io/app:v1 in manifests.
func copied(t *testing.T, from, to string) registry.TransferResult {
	t.Helper()
	results, err := registry.Copy(t.Context(), registry.CopyRequest{Transfers: []registry.Transfer{{
		Image:   image.Rewritten{From: parse(t, "from.io/app:v1"), To: parse(t, to), Rule: "test rule"},
		Sources: []image.Reference{parse(t, from)},
	}}}, options)
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

func verify(t *testing.T, at string, platforms ...string) registry.Result {
	t.Helper()
	return registry.Probe(t.Context(), registry.ProbeRequest{
		Images:    [][]image.Rewritten{{{From: parse(t, "from.io/app:v1"), To: parse(t, at), Rule: "test rule"}}},
		Platforms: platforms,
	}, options)[0]
}

// TestGarbageCollection holds that an index whose members were collected is reported, and that a
// copy completes it under the same tag.
func TestGarbageCollection(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{})
		push(t, source.Host+"/app:v1", index(t, "amd64", "arm64"))
		at := mirror.Host + "/t/app:v1"
		if r := copied(t, source.Host+"/app:v1", at); r.Outcome != registry.Copied {
			t.Fatalf("%s: %v", r.Outcome, r.Err)
		}
		mirror.Collect(t)
		got := verify(t, at, "linux/amd64")
		if mirror.RemovesMembers() {
			if got.Status != registry.StatusIncomplete ||
				!strings.Contains(got.Err.Error(), "manifest for linux/amd64") ||
				!strings.Contains(got.Remedy, "tekgate images copy") {
				t.Errorf("%s: %v: %s", got.Status, got.Err, got.Remedy)
			}
			if r := copied(t, source.Host+"/app:v1", at); r.Outcome != registry.Copied {
				t.Errorf("completing it: %s: %v", r.Outcome, r.Err)
			}
		}
		got = verify(t, at, "linux/amd64", "linux/arm64")
		if got.Status != registry.StatusOK || len(got.Warnings) > 0 {
			t.Errorf("%s: %v, warnings %q", got.Status, got.Err, got.Warnings)
		}
		if r := copied(t, source.Host+"/app:v1", at); r.Outcome != registry.Present {
			t.Errorf("once more: %s: %v", r.Outcome, r.Err)
		}
	})
}

// TestPartialCopies holds that an index of which another tool copied one platform is good for the
// nodes of that platform, with a warning, and is completed by a copy.
func TestPartialCopies(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{Platforms: "none"})
		all := index(t, "amd64", "arm64", "unknown")
		push(t, source.Host+"/app:v1", all)
		at := mirror.Host + "/app:v1"
		if !partly(t, all, at) {
			t.Skip("this registry takes no index without its members")
		}
		got := verify(t, at, "linux/amd64")
		if got.Status != registry.StatusOK || len(got.Warnings) != 2 ||
			!strings.Contains(got.Warnings[0], "manifest for linux/arm64") ||
			!strings.Contains(got.Warnings[1], "attestation") {
			t.Errorf("for amd64: %s: %v, warnings %q", got.Status, got.Err, got.Warnings)
		}
		if got := verify(t, at, "linux/arm64"); got.Status != registry.StatusIncomplete {
			t.Errorf("for arm64: %s: %v", got.Status, got.Err)
		}
		if got := verify(t, at); got.Status != registry.StatusIncomplete {
			t.Errorf("for all: %s: %v", got.Status, got.Err)
		}
		if r := copied(t, source.Host+"/app:v1", at); r.Outcome != registry.Copied {
			t.Errorf("completing it: %s: %v", r.Outcome, r.Err)
		}
		if got := verify(t, at); got.Status != registry.StatusOK || len(got.Warnings) > 0 {
			t.Errorf("afterwards: %s: %v, warnings %q", got.Status, got.Err, got.Warnings)
		}
	})
}

// partly puts the first member of an index and the index to a registry, and reports whether that
// takes it.
func partly(t *testing.T, all v1.ImageIndex, at string) bool {
	t.Helper()
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	first, err := all.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	repository, tag, _ := strings.Cut(at, "/app:")
	push(t, fmt.Sprintf("%s/app@%s", repository, manifest.Manifests[0].Digest), first)
	raw, err := all.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
		fmt.Sprintf("http://%s/v2/app/manifests/%s", repository, tag), strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", string(manifest.MediaType))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusCreated
}

// TestPullThroughCache holds that a cache which has one platform, and cannot reach its upstream
// any more, is reported for the others.
func TestPullThroughCache(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		upstream := registries.Start(t, program, registries.Options{})
		gate, door := gated(t, upstream.Host)
		push(t, upstream.Host+"/app:v1", index(t, "amd64", "arm64"))
		cache := registries.Start(t, program, registries.Options{Upstream: gate})
		at := cache.Host + "/app:v1"
		pull(t, at, "amd64")
		door.Store(true)
		if got := verify(t, at, "linux/amd64"); got.Status != registry.StatusOK || len(got.Warnings) != 1 {
			t.Errorf("for amd64: %s: %v, warnings %q", got.Status, got.Err, got.Warnings)
		}
		got := verify(t, at, "linux/amd64", "linux/arm64")
		if got.Status != registry.StatusIncomplete || !strings.Contains(got.Err.Error(), "linux/arm64") ||
			!strings.Contains(got.Remedy, "pull-through cache") {
			t.Errorf("for both: %s: %v: %s", got.Status, got.Err, got.Remedy)
		}
	})
}

// TestCheckedCache holds that a cache whose images were checked before anybody pulled them can still
// be pulled from: a check reads only the first byte of each layer.
func TestCheckedCache(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		upstream := registries.Start(t, program, registries.Options{})
		push(t, upstream.Host+"/app:v1", index(t, "amd64", "arm64"))
		cache := registries.Start(t, program, registries.Options{Upstream: "http://" + upstream.Host})
		at := cache.Host + "/app:v1"
		for range 2 {
			if got := verify(t, at, "linux/amd64"); got.Status != registry.StatusOK || len(got.Warnings) > 0 {
				t.Errorf("%s: %v, warnings %q", got.Status, got.Err, got.Warnings)
			}
			pull(t, at, "amd64")
		}
	})
}

// TestDamagedStorage holds that a member of an index that a broken disk changed is reported, and
// that a copy does not pass over it: registries keep what they have under a digest.
func TestDamagedStorage(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{})
		all := index(t, "amd64", "arm64")
		push(t, source.Host+"/app:v1", all)
		at := mirror.Host + "/app:v1"
		if r := copied(t, source.Host+"/app:v1", at); r.Outcome != registry.Copied {
			t.Fatalf("%s: %v", r.Outcome, r.Err)
		}
		manifest, err := all.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		mirror.Damage(t, manifest.Manifests[1].Digest.Hex)
		got := verify(t, at, "linux/arm64")
		if got.Status != registry.StatusIncomplete || !strings.Contains(got.Err.Error(), "linux/arm64") {
			t.Errorf("%s: %v", got.Status, got.Err)
		}
		if got := verify(t, at, "linux/amd64"); got.Status != registry.StatusOK || len(got.Warnings) != 1 {
			t.Errorf("for amd64: %s: %v, warnings %q", got.Status, got.Err, got.Warnings)
		}
		r := copied(t, source.Host+"/app:v1", at)
		got = verify(t, at, "linux/arm64")
		whole := got.Status == registry.StatusOK
		if whole != (r.Outcome == registry.Copied) || r.Outcome == registry.Present {
			t.Errorf("copying it again: %s: %v: %s; it is %s then", r.Outcome, r.Err, r.Remedy, got.Status)
		}
		if r.Outcome == registry.Failed && !strings.Contains(r.Remedy, "delete the image there") {
			t.Errorf("%v: %s", r.Err, r.Remedy)
		}
	})
}

// TestExpiredCache holds that a cache whose upstream is away is reported once its content expired.
func TestExpiredCache(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		upstream := registries.Start(t, program, registries.Options{})
		gate, door := gated(t, upstream.Host)
		push(t, upstream.Host+"/app:v1", index(t, "amd64"))
		cache := registries.Start(t, program, registries.Options{Upstream: gate, TTL: "4s"})
		at := cache.Host + "/app:v1"
		if cache.RemovesMembers() {
			t.Skip("distribution v2 keeps content for a week, whatever ttl says")
		}
		pull(t, at, "amd64")
		door.Store(true)
		if got := verify(t, at, "linux/amd64"); got.Status != registry.StatusOK {
			t.Errorf("before it expired: %s: %v", got.Status, got.Err)
		}
		got := registry.Result{Status: registry.StatusOK}
		for end := time.Now().Add(30 * time.Second); !got.Status.Fatal() && time.Now().Before(end); {
			time.Sleep(time.Second)
			got = verify(t, at, "linux/amd64")
		}
		if got.Status != registry.StatusUnreachable && got.Status != registry.StatusIncomplete {
			t.Errorf("after it expired: %s: %v", got.Status, got.Err)
		}
	})
}

// gated returns the address of a way to a registry, and what closes it.
func gated(t *testing.T, host string) (string, *atomic.Bool) {
	t.Helper()
	var closed atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if closed.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, &closed
}

// pull fetches all of one platform, as a node does.
func pull(t *testing.T, at, architecture string) {
	t.Helper()
	ref, err := name.ParseReference(at)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := img.RawConfigFile(); err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		in, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		for buffer := make([]byte, 4096); err == nil; {
			_, err = in.Read(buffer)
		}
		_ = in.Close()
	}
	// A cache stores blobs after it has answered.
	time.Sleep(time.Second)
}

// TestSharedLayers holds that a layer that images of several repositories have in common is sent
// once, and mounted to the other repositories.
func TestSharedLayers(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		source := registries.Start(t, program, registries.Options{})
		mirror := registries.Start(t, program, registries.Options{})
		base, err := random.Image(64<<10, 3)
		if err != nil {
			t.Fatal(err)
		}
		var puts atomic.Int32
		counted := httptest.NewServer(counting(mirror.Host, &puts))
		t.Cleanup(counted.Close)
		host := strings.TrimPrefix(counted.URL, "http://")
		var transfers []registry.Transfer
		for i := range 4 {
			config, err := base.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			config = config.DeepCopy()
			config.Author = fmt.Sprint(i)
			img, err := mutate.ConfigFile(base, config)
			if err != nil {
				t.Fatal(err)
			}
			push(t, fmt.Sprintf("%s/app-%d:v1", source.Host, i), img)
			transfers = append(transfers, registry.Transfer{
				Image: image.Rewritten{From: parse(t, fmt.Sprintf("from.io/app-%d:v1", i)),
					To: parse(t, fmt.Sprintf("%s/app-%d:v1", host, i)), Rule: "test rule"},
				Sources: []image.Reference{parse(t, fmt.Sprintf("%s/app-%d:v1", source.Host, i))},
			})
		}
		results, err := registry.Copy(t.Context(), registry.CopyRequest{Transfers: transfers}, options)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Outcome != registry.Copied {
				t.Errorf("%s: %s: %v", r.Image.From, r.Outcome, r.Err)
			}
		}
		if got := puts.Load(); got != 3+4 { // and a configuration each
			t.Errorf("%d blobs were sent, want 7", got)
		}
		for i := range 4 {
			if got := verify(t, fmt.Sprintf("%s/app-%d:v1", mirror.Host, i)); got.Status != registry.StatusOK {
				t.Errorf("app-%d: %s: %v", i, got.Status, got.Err)
			}
		}
	})
}

// counting passes requests on and counts blobs that are sent.
func counting(host string, puts *atomic.Int32) http.Handler {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
			puts.Add(1)
		}
		proxy.ServeHTTP(w, r)
	})
}

// TestJSON holds what machines read of a mirror that is not complete.
func TestJSON(t *testing.T) {
	each(t, func(t *testing.T, program registries.Program) {
		mirror := registries.Start(t, program, registries.Options{})
		push(t, mirror.Host+"/app:v1", index(t, "amd64", "amd64"))
		text, err := json.Marshal(verify(t, mirror.Host+"/app:v1"))
		want := `"warnings":["` + mirror.Host + "/app:v1: it lists linux/amd64 twice"
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s, error %v", text, err)
		}
	})
}

// pulled reads an image.
func pulled(t *testing.T, from string) v1.Image {
	t.Helper()
	at, err := name.ParseReference(from)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(at)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
