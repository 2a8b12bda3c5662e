package registry_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

const other = "sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791"

func probe(t *testing.T, options registry.Options, platforms []string, candidates ...image.Rewritten) registry.Result {
	t.Helper()
	return registry.Probe(t.Context(), registry.ProbeRequest{Images: [][]image.Rewritten{candidates},
		Platforms: platforms}, options)[0]
}

func TestProbe(t *testing.T) {
	s := start(t)
	both := s.push(t, "both:v1", multi(t, "linux/amd64", "linux/arm64"))
	s.push(t, "amd:v1", single(t, "linux/amd64"))
	s.push(t, "windows:v1", multi(t, "windows/amd64"))
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/closed/") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	linux := []string{"linux/amd64"}
	tests := []struct {
		name      string
		from, to  string
		platforms []string
		want      registry.Status
		say       string // part of the error or remedy
	}{
		{"there", "a.io/x:v1", s.host + "/both:v1", []string{"linux/amd64", "linux/arm64"}, registry.StatusOK, ""},
		{"pinned", "a.io/x:v1@" + both, s.host + "/both:v1@" + both, linux, registry.StatusOK, ""},
		{"pinned without a tag", "a.io/x@" + both, s.host + "/both@" + both, linux, registry.StatusOK, ""},
		{"one platform, none asked for", "a.io/x:v1", s.host + "/amd:v1", nil, registry.StatusOK, ""},
		{"one platform, another asked for", "a.io/x:v1", s.host + "/amd:v1", []string{"linux/amd64", "linux/arm64"},
			registry.StatusMissingPlatform, "for linux/amd64, and not for linux/arm64"},
		{"wrong digest", "a.io/x:v1@" + other, s.host + "/both:v1@" + other, linux, registry.StatusWrongDigest,
			"digest: relock"},
		{"no such digest", "a.io/x@" + other, s.host + "/both@" + other, linux, registry.StatusMissing,
			"tekgate images copy"},
		{"no such tag", "a.io/x:v2", s.host + "/both:v2", linux, registry.StatusMissing, "the registry answered 404"},
		{"no such repository", "a.io/x:v2", s.host + "/none:v2", linux, registry.StatusMissing, "mirror.images"},
		{"closed", "a.io/x:v1", s.host + "/closed/x:v1", linux, registry.StatusDenied, "docker login " + s.host},
		{"nobody", "a.io/x:v1", "127.0.0.1:1/x:v1", linux, registry.StatusUnreachable, "connection refused"},
		{"Windows alone", "mcr.microsoft.com/powershell:nanoserver", s.host + "/windows:v1", linux,
			registry.StatusUnneeded, ""},
		{"Windows alone, missing", "mcr.microsoft.com/powershell:nanoserver", s.host + "/none:v1", linux,
			registry.StatusUnneeded, ""},
		{"Windows nodes", "mcr.microsoft.com/powershell:nanoserver", s.host + "/none:v1", []string{"windows/amd64"},
			registry.StatusMissing, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := probe(t, quick, tt.platforms, to(t, tt.from, tt.to))
			if got.Status != tt.want {
				t.Fatalf("status %q (%v), want %q", got.Status, got.Err, tt.want)
			}
			if got.Status.Fatal() != (got.Remedy != "") {
				t.Errorf("status %q has the remedy %q", got.Status, got.Remedy)
			}
			if tt.say != "" && !strings.Contains(got.Err.Error()+got.Remedy, tt.say) {
				t.Errorf("%v: %s lacks %q", got.Err, got.Remedy, tt.say)
			}
			if got.Err != nil && strings.Contains(got.Err.Error(), "\n") {
				t.Errorf("the error has several lines: %v", got.Err)
			}
		})
	}
}

// The tag of a single-architecture copy exists, and nodes of others would fail
// with "exec format error".
func TestTrap05_SingleArchitectureCopiesAreFound(t *testing.T) {
	s := start(t)
	s.push(t, "x:v1", single(t, "linux/amd64"))
	s.push(t, "y:v1", multi(t, "linux/amd64", "linux/arm64"))
	nodes := []string{"linux/amd64", "linux/arm64"}
	got := probe(t, quick, nodes, to(t, "a.io/x:v1", s.host+"/x:v1"), to(t, "a.io/x:v1", s.host+"/y:v1"))
	if got.Status != registry.StatusOK || got.Image.To.Path != "y" || len(got.Tried) != 1 ||
		got.Tried[0].Status != registry.StatusMissingPlatform {
		t.Errorf("got %+v", got)
	}
}

func TestProbeTakesTheFirstThatIsThere(t *testing.T) {
	s := start(t)
	digest := s.push(t, "second:v1", multi(t, "linux/amd64"))
	got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/first:v1"), to(t, "a.io/x:v1", s.host+"/second:v1"),
		to(t, "a.io/x:v1", "127.0.0.1:1/third:v1"))
	if got.Status != registry.StatusOK || got.Image.To.Path != "second" || got.Digest != digest ||
		len(got.Tried) != 1 || got.Tried[0].Status != registry.StatusMissing {
		t.Errorf("got %+v", got)
	}
	got = probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/first:v1"), to(t, "a.io/x:v1", "127.0.0.1:1/third:v1"))
	if got.Status != registry.StatusMissing || got.Image.To.Path != "first" || len(got.Tried) != 1 {
		t.Errorf("got %+v", got)
	}
}

// A self-signed registry is trusted by its CA file, and says so without one.
func TestProbeTLS(t *testing.T) {
	s := startTLS(t)
	candidate := to(t, "a.io/x:v1", s.host+"/x:v1")
	got := probe(t, quick, nil, candidate)
	if got.Status != registry.StatusUnreachable || !strings.Contains(got.Remedy, "--ca-file") ||
		!strings.Contains(got.Err.Error(), "certificate signed by unknown authority") {
		t.Errorf("without the CA: %q: %v: %s", got.Status, got.Err, got.Remedy)
	}
	trusting := quick
	trusting.CAFile = s.file
	if got := probe(t, trusting, nil, candidate); got.Status != registry.StatusMissing {
		t.Errorf("with the CA: %q: %v", got.Status, got.Err)
	}
	trusting.CAFile = filepath.Join(t.TempDir(), "none")
	if got := probe(t, trusting, nil, candidate); got.Status != registry.StatusUnreachable ||
		!strings.Contains(got.Err.Error(), "reading the CA file") {
		t.Errorf("with a CA file that is not there: %v", got.Err)
	}
}

// Credentials come from the Docker configuration.
func TestProbePassword(t *testing.T) {
	s := start(t)
	s.push(t, "x:v1", multi(t, "linux/amd64"))
	s.answer(password)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	candidate := to(t, "a.io/x:v1", s.host+"/x:v1")
	if got := probe(t, quick, nil, candidate); got.Status != registry.StatusDenied ||
		!strings.Contains(got.Remedy, "docker login") {
		t.Errorf("without a password: %q: %v", got.Status, got.Err)
	}
	login(t, s.host, "user", "pass")
	if got := probe(t, quick, nil, candidate); got.Status != registry.StatusOK {
		t.Errorf("with a password: %q: %v", got.Status, got.Err)
	}
	login(t, s.host, "user", "s3cr3t-and-wrong")
	got := probe(t, quick, nil, candidate)
	if got.Status != registry.StatusDenied || strings.Contains(got.Err.Error(), "s3cr3t") {
		t.Errorf("with a wrong password: %q: %v", got.Status, got.Err)
	}
}

func password(w http.ResponseWriter, r *http.Request) bool {
	if user, pass, _ := r.BasicAuth(); user == "user" && pass == "pass" {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
	w.WriteHeader(http.StatusUnauthorized)
	return true
}

func login(t *testing.T, host, user, pass string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + pass))
	text := `{"auths":{"` + host + `":{"auth":"` + auth + `"}}}`
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A registry that is busy is asked again, not before it wants to be.
func TestTrap39_BusyMirrorsAreAskedAgain(t *testing.T) {
	s := start(t)
	s.push(t, "x:v1", multi(t, "linux/amd64"))
	var asked atomic.Int32
	s.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodHead || asked.Add(1) > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	began := time.Now()
	got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	if took := time.Since(began); got.Status != registry.StatusOK || took < time.Second {
		t.Errorf("status %q after %s: %v", got.Status, took, got.Err)
	}
}

// One that asks for an hour is not waited for.
func TestRetryAfterTooLong(t *testing.T) {
	s := start(t)
	s.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1"))
	if got.Status != registry.StatusUnreachable || !strings.Contains(got.Err.Error(), "429 Too Many Requests") {
		t.Errorf("status %q: %v", got.Status, got.Err)
	}
}

// A line that breaks now and then is tried again.
func TestConnectionResets(t *testing.T) {
	s := start(t)
	s.push(t, "x:v1", multi(t, "linux/amd64"))
	var asked atomic.Int32
	s.answer(func(w http.ResponseWriter, _ *http.Request) bool {
		if asked.Add(1)%2 == 0 {
			return false
		}
		reset(w)
		return true
	})
	if got := probe(t, quick, nil, to(t, "a.io/x:v1", s.host+"/x:v1")); got.Status != registry.StatusOK {
		t.Errorf("status %q: %v", got.Status, got.Err)
	}
}

// reset ends a connection without an answer.
func reset(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

func TestWriteTable(t *testing.T) {
	s := start(t)
	digest := s.push(t, "x:v1", multi(t, "linux/amd64"))
	results := registry.Probe(t.Context(), registry.ProbeRequest{Images: [][]image.Rewritten{
		{to(t, "a.io/x:v1@"+digest, s.host+"/x:v1@"+digest)}, {to(t, "a.io/y:v1", s.host+"/y:v1")},
	}}, quick)
	var table bytes.Buffer
	if err := registry.WriteTable(&table, results); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"STATUS", "ok       a.io/x:v1@" + digest[:19] + "…", "linux/amd64\n",
		"missing  a.io/y:v1", "missing: looking for " + s.host + "/y:v1: the registry answered 404",
		"(test rule): fill the mirror"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, table.String())
		}
	}
	text, err := json.Marshal(results)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"status":"ok"`, `"from":"a.io/y:v1"`, `"error":"looking for`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the JSON lacks %s: %s", want, text)
		}
	}
}

// A mirror that leads to a web page, for manifests or for layers, serves no image.
func TestProbeWebPages(t *testing.T) {
	for _, part := range []string{"/manifests/", "/blobs/"} {
		s := start(t)
		s.push(t, "x:v1", multi(t, "linux/amd64"))
		s.answer(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, part) {
				return false
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<html>log in</html>"))
			return true
		})
		got := probe(t, quick, []string{"linux/amd64"}, to(t, "a.io/x:v1", s.host+"/x:v1"))
		if !got.Status.Fatal() || !strings.Contains(got.Err.Error(), "web page") ||
			!strings.Contains(got.Remedy, "name another mirror") {
			t.Errorf("%s: %s: %v: %s", part, got.Status, got.Err, got.Remedy)
		}
	}
}

// TestOlderVariants holds that a platform whose variant an image lacks is there if nodes pull an older
// variant in its place, and that no other variant is asked for if it is there itself.
func TestOlderVariants(t *testing.T) {
	s := start(t)
	s.push(t, "old:v1", multi(t, "linux/amd64", "linux/arm/v5", "linux/arm/v6"))
	s.push(t, "new:v1", multi(t, "linux/amd64/v3", "linux/arm/v7", "linux/arm/v6"))
	for _, c := range []struct {
		name, platform string
		want           registry.Status
	}{
		{"old", "linux/amd64/v3", registry.StatusOK},
		{"old", "linux/arm/v7", registry.StatusOK},
		{"old", "linux/arm64", registry.StatusMissingPlatform},
		{"old", "linux/386", registry.StatusMissingPlatform},
		{"new", "linux/amd64", registry.StatusOK}, // any of its variants
		{"new", "linux/amd64/v2", registry.StatusMissingPlatform},
		{"new", "linux/arm/v5", registry.StatusMissingPlatform},
		{"new", "linux/arm/v7", registry.StatusOK},
	} {
		got := registry.Probe(t.Context(), registry.ProbeRequest{Platforms: []string{c.platform},
			Images: [][]image.Rewritten{{to(t, "from.io/app:v1", s.host+"/"+c.name+":v1")}}}, quick)[0]
		if got.Status != c.want {
			t.Errorf("%s for %s: %s: %v", c.name, c.platform, got.Status, got.Err)
		}
	}
	copied, err := registry.Copy(t.Context(), registry.CopyRequest{Platforms: []string{"linux/arm/v8"},
		Transfers: []registry.Transfer{{Image: to(t, s.host+"/old:v1", s.host+"/copied:v1")}}}, quick)
	if err != nil || copied[0].Outcome != registry.Copied {
		t.Fatalf("%v, %+v", err, copied)
	}
	got := registry.Probe(t.Context(), registry.ProbeRequest{
		Images: [][]image.Rewritten{{to(t, "from.io/app:v1", s.host+"/copied:v1")}}}, quick)[0]
	if len(got.Platforms) != 1 || got.Platforms[0] != "linux/arm/v6" {
		t.Errorf("copied for linux/arm/v8: %q", got.Platforms)
	}
}
