package manifest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/installer/manifest"
)

const oneObject = "apiVersion: v1\nkind: A\nmetadata: {name: a}\n"

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// sites are a server with TLS and one without. At /to/NAME they redirect to the other
// one's NAME, and at /stay/NAME to their own.
type sites struct{ plain, tls *httptest.Server }

func startSites(t *testing.T) sites {
	t.Helper()
	var s sites
	answer := func(other func() string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if name, found := strings.CutPrefix(r.URL.Path, "/to"); found {
				http.Redirect(w, r, other()+name, http.StatusFound)
				return
			}
			if name, found := strings.CutPrefix(r.URL.Path, "/stay"); found {
				http.Redirect(w, r, name, http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, oneObject)
		}
	}
	s.plain = httptest.NewServer(answer(func() string { return s.tls.URL }))
	s.tls = httptest.NewTLSServer(answer(func() string { return s.plain.URL }))
	t.Cleanup(s.plain.Close)
	t.Cleanup(s.tls.Close)
	return s
}

// TestPlainHTTP holds that manifests come without TLS only where a flag allows it, and
// that no redirect leaves TLS, whatever the flag.
func TestPlainHTTP(t *testing.T) {
	s := startSites(t)
	for _, tt := range []struct {
		name, source string
		allowed      bool
		want         string // a part of the error; empty for success
	}{
		{"TLS", s.tls.URL + "/a", false, ""},
		{"TLS redirected to TLS", s.tls.URL + "/stay/a", false, ""},
		{"plain", s.plain.URL + "/a", false, "http:// is not encrypted"},
		{"plain in capitals", "HTTP" + strings.TrimPrefix(s.plain.URL, "http") + "/a", false, "is not encrypted"},
		{"plain, allowed", s.plain.URL + "/a", true, ""},
		{"plain redirected to TLS", s.plain.URL + "/to/a", true, ""},
		{"TLS redirected to plain", s.tls.URL + "/to/a", false, "which is not encrypted: name another source"},
		{"TLS redirected to plain, allowed", s.tls.URL + "/to/a", true, "which is not encrypted"},
		{"plain to TLS to plain", s.plain.URL + "/to/to/a", true, "which is not encrypted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			loader := manifest.Loader{PlainHTTP: tt.allowed, Transport: s.tls.Client().Transport}
			objs, err := loader.Load(t.Context(), tt.source)
			switch {
			case tt.want == "" && (err != nil || len(objs) != 1):
				t.Errorf("%d objects, error %v", len(objs), err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

// TestSHA256 pins each kind of source, and holds that what has another digest is not
// decoded.
func TestSHA256(t *testing.T) {
	s := startSites(t)
	folder := t.TempDir()
	const other = "apiVersion: v1\nkind: B\nmetadata: {name: b}\n"
	file := filepath.Join(folder, "a.yaml")
	for name, text := range map[string]string{"a.yaml": oneObject, "b.yaml": other} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func(source string, digests ...string) error {
		_, err := manifest.Loader{
			In: strings.NewReader(oneObject), SHA256: digests, Transport: s.tls.Client().Transport,
		}.Load(t.Context(), source)
		return err
	}
	right, wrong := digestOf(oneObject), digestOf("x")
	for _, source := range []string{file, "-", s.tls.URL + "/a"} {
		if err := load(source, wrong, right); err != nil {
			t.Errorf("%s with its digest: %v", source, err)
		}
		if err := load(source, strings.ToUpper(right)); err != nil {
			t.Errorf("%s with its digest in capitals: %v", source, err)
		}
		if err := load(source, wrong); err == nil || !strings.Contains(err.Error(), "its SHA-256 is "+right) {
			t.Errorf("%s with another digest: %v", source, err)
		}
	}
	if err := load(folder, right); err == nil || !strings.Contains(err.Error(), "b.yaml: its SHA-256 is") {
		t.Errorf("a folder with a file that is not pinned: %v", err)
	}
	if err := load(folder, right, digestOf(other)); err != nil {
		t.Errorf("a folder whose files are pinned: %v", err)
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("a: b: c"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := load(bad, wrong); err == nil || strings.Contains(err.Error(), "YAML") {
		t.Errorf("what has another digest was decoded: %v", err)
	}
}

// TestPasswordsAreNotPrinted holds that no error about a source has a part of what may be
// secret in its URL.
func TestPasswordsAreNotPrinted(t *testing.T) {
	s := startSites(t)
	host := strings.TrimPrefix(s.tls.URL, "https://")
	empty := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			http.NotFound(w, r)
		case "/elsewhere":
			w.Header().Set("Location", "https://[::1/?signature=s3cr3t")
			w.WriteHeader(http.StatusFound)
		}
	}))
	t.Cleanup(empty.Close)
	mute := strings.TrimPrefix(empty.URL, "https://")
	for _, source := range []string{
		"https://user:s3cr3t@127.0.0.1:1/a", "https://s3cr3t@127.0.0.1:1/a", "https://127.0.0.1:1/a?token=s3cr3t",
		"https://user:s3cr3t@" + mute + "/", "https://user:s3cr3t@" + mute + "/gone?k=s3cr3t", empty.URL + "/elsewhere",
		"https://user:s3cr3t@" + host + "/to/a?t=s3cr3t#s3cr3t", "http://user:s3cr3t@127.0.0.1:1/a",
		"https://user:s3cr3t/x@127.0.0.1:1/a", "https://user:%s3cr3t@127.0.0.1:1/a", "https://user:s3cr3t\x7f@h/a",
		"https://user:s3cr3t@" + host + "/a", "ftp://user:s3cr3t@127.0.0.1/a",
	} {
		loader := manifest.Loader{SHA256: []string{digestOf("x")}, Transport: s.tls.Client().Transport}
		_, err := loader.Load(t.Context(), source)
		if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "3cr") {
			t.Errorf("%q: error %v", source, err)
		}
		if err != nil && !strings.Contains(err.Error(), "reading manifest "+strings.SplitAfter(source, "://")[0]) {
			t.Errorf("%q: the error does not name the source: %v", source, err)
		}
	}
}
