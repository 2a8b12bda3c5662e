package resolve_test

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/resolve"
)

// quick are options with a lock and a cache of the test.
func quick(t *testing.T) resolve.Options {
	t.Helper()
	folder := t.TempDir()
	return resolve.Options{Lock: filepath.Join(folder, "tekgate.lock"), Cache: filepath.Join(folder, "cache"),
		Registry: registry.Options{Attempts: 1}, Patience: 10 * time.Second}
}

func open(t *testing.T, options resolve.Options) *resolve.Resolver {
	t.Helper()
	r, err := resolve.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// get resolves a request by a resolver of its own, and saves the lock.
func get(t *testing.T, options resolve.Options, q resolve.Request) (resolve.Definition, error) {
	t.Helper()
	r := open(t, options)
	found, err := r.Resolve(t.Context(), q)
	if _, err := r.Save(); err != nil {
		t.Fatal(err)
	}
	return found, err
}

func nameOf(d resolve.Definition) string {
	meta, _ := d.Fields["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func request(resolver string, pairs ...string) resolve.Request {
	q := resolve.Request{Resolver: resolver, Kind: "Task", Params: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		q.Params[pairs[i]] = pairs[i+1]
	}
	return q
}

// wantError fails unless an error has all parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %q in it", err, part)
		}
	}
}

// TestBundle holds what is read of a bundle, through a mirror, and that a moved tag is refused.
func TestBundle(t *testing.T) {
	host := registryHost(t)
	first := imagetest.Bundle(t, host+"/mirror/catalog:v1", map[string]string{"task/clone": task("clone", ""),
		"pipeline/build": "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: build}\nspec: {tasks: []}\n"})
	rules, err := image.Mirror{Rules: []image.Rule{{Match: "ghcr.io/tekton/**",
		To: image.Targets{host + "/mirror/{name}"}}}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	options := quick(t)
	options.Mirror = rules
	q := request("bundles", "bundle", "ghcr.io/tekton/catalog:v1", "name", "clone", "kind", "Task")
	found, err := get(t, options, q)
	if err != nil || nameOf(found) != "clone" || !strings.Contains(found.Source, host) {
		t.Fatalf("got %v %v", found, err)
	}
	lock := read(t, options.Lock)
	if !strings.Contains(lock, first) || !strings.Contains(lock, "ghcr.io/tekton/catalog:v1") {
		t.Errorf("the lock does not name the bundle:\n%s", lock)
	}
	for name, want := range map[string]string{"absent": `it holds no task "absent"`, "build": `it holds no task "build"`} {
		_, err := get(t, options, request("bundles", "bundle", "ghcr.io/tekton/catalog:v1", "name", name))
		wantError(t, err, want, `name one that it holds: pipeline "build", task "clone"`)
	}
	_, err = get(t, options, request("bundles", "bundle", host+"/mirror/none:v1", "name", "x"))
	wantError(t, err, "404")
	imagetest.Bundle(t, host+"/mirror/catalog:v1", map[string]string{"task/clone": task("clone", "  description: other\n")})
	before := read(t, options.Lock)
	_, err = get(t, options, q)
	wantError(t, err, "has changed: the lock has "+first, "run with --update")
	if read(t, options.Lock) != before {
		t.Error("the lock changed without --update")
	}
	options.Update = true
	if found, err := get(t, options, q); err != nil || read(t, options.Lock) == before {
		t.Errorf("with --update: %v %v", found, err)
	}
}

// TestBundleTooLarge holds the limit of an object, also of one that is compressed.
func TestBundleTooLarge(t *testing.T) {
	host := registryHost(t)
	large := task("x", "# "+strings.Repeat("x", resolve.MaxSize))
	imagetest.Bundle(t, host+"/large:v1", map[string]string{"task/x": large})
	_, err := get(t, quick(t), request("bundles", "bundle", host+"/large:v1", "name", "x"))
	wantError(t, err, "larger than 4 MiB")
}

// TestGit holds branches, tags, commits and paths of a real server.
func TestGit(t *testing.T) {
	r := newRepository(t, "")
	first := r.commit("task/clone/clone.yaml", task("clone", ""))
	r.git("tag", "-a", "-m", "v1", "v1")
	second := r.commit("other.yaml", task("other", ""))
	if err := os.Symlink("/etc/passwd", filepath.Join(r.folder, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	r.commit("large.yaml", strings.Repeat("# large\n", resolve.MaxSize/8+1))
	options := quick(t)
	for _, c := range []struct{ revision, path, name, problem string }{
		{"main", "task/clone/clone.yaml", "clone", ""},
		{"main", "/task/clone/clone.yaml", "clone", ""},
		{"v1", "task/clone/clone.yaml", "clone", ""},
		{"v1", "other.yaml", "", "has no file other.yaml at " + first[:12] + ": correct the param pathInRepo"},
		{second, "other.yaml", "other", ""},
		{first, "task/clone/clone.yaml", "clone", ""},
		{"", "other.yaml", "other", ""},
		{"main", "task/clone", "", "is no regular file"},
		{"main", "link.yaml", "", "is no regular file"},
		{"main", "../../etc/passwd", "", "has no file etc/passwd"},
		{"main", "large.yaml", "", "larger than 4 MiB"},
		{"main", "", "", "give the param pathInRepo"},
		{"absent", "other.yaml", "", "correct the param revision"},
		{strings.Repeat("0", 40), "other.yaml", "", "correct the param revision"},
		{"--upload-pack=touch", "other.yaml", "", "is no revision"},
		{"main:refs/heads/x", "other.yaml", "", "is no revision"},
	} {
		found, err := get(t, options, request("git", "url", r.URL, "revision", c.revision, "pathInRepo", c.path))
		if c.problem != "" {
			wantError(t, err, c.problem)
		} else if err != nil || nameOf(found) != c.name {
			t.Errorf("%s of %s: got %v %v", c.path, c.revision, found, err)
		}
	}
	for _, address := range []string{"ext::sh -c touch% x", "file:///etc", "-u/x", "http://198.51.100.1/x", "https://-x/y", ""} {
		if _, err := get(t, options, request("git", "url", address, "pathInRepo", "a")); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
}

// TestGitMoved holds that a branch may move as long as the definition stays.
func TestGitMoved(t *testing.T) {
	r := newRepository(t, "")
	first := r.commit("a.yaml", task("a", ""))
	options := quick(t)
	q := request("git", "url", r.URL, "revision", "main", "pathInRepo", "a.yaml")
	if _, err := get(t, options, q); err != nil {
		t.Fatal(err)
	}
	r.commit("b.yaml", task("b", ""))
	if _, err := get(t, options, q); err != nil || !strings.Contains(read(t, options.Lock), first) {
		t.Errorf("the definition stayed: %v\n%s", err, read(t, options.Lock))
	}
	last := r.commit("a.yaml", task("a", "  description: x\n"))
	_, err := get(t, options, q)
	wantError(t, err, "has changed", first, last)
}

// TestGitCredentials holds that git is not asked for a password, and that one in a URL reaches no message, lock or
// cache.
func TestGitCredentials(t *testing.T) {
	const password = "correct-horse"
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	r := newRepository(t, password)
	r.commit("a.yaml", task("a", ""))
	options := quick(t)
	q := request("git", "url", r.URL, "revision", "main", "pathInRepo", "a.yaml")
	_, err := get(t, options, q)
	wantError(t, err, "put credentials for it where git finds them")
	for _, given := range []string{password, "battery-staple"} {
		q.Params["url"] = strings.Replace(r.URL, "://", "://me:"+given+"@", 1)
		_, err = get(t, options, q)
		if (err == nil) != (given == password) {
			t.Errorf("%s: got %v", given, err)
		}
		if err != nil && strings.Contains(err.Error(), given) {
			t.Errorf("the password is in %v", err)
		}
	}
	if lock := read(t, options.Lock); strings.Contains(lock, password) || strings.Contains(lock, "me:") {
		t.Errorf("the password is in the lock:\n%s", lock)
	}
	netrc := "machine 127.0.0.1 login me password " + password + "\n"
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), ".netrc"), []byte(netrc), 0o600); err != nil {
		t.Fatal(err)
	}
	q.Params["url"] = r.URL
	if _, err := get(t, options, q); err != nil {
		t.Errorf("git's own credentials do not count: %v", err)
	}
}

// TestHTTP holds every answer of a server.
func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	say := func(path, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	say("/task.yaml", task("x", ""))
	say("/broken.yaml", "a: [\n")
	say("/empty.yaml", "# nothing\n")
	say("/values.yaml", "replicas: 1\n")
	say("/pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n")
	say("/pipeline.yaml", "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: x}\n")
	say("/large.yaml", strings.Repeat("# large\n", resolve.MaxSize/8+1))
	mux.HandleFunc("/cut.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		fmt.Fprint(w, task("x", ""))
	})
	mux.HandleFunc("/moved.yaml", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/task.yaml", http.StatusFound)
	})
	mux.HandleFunc("/loop.yaml", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop.yaml", http.StatusFound)
	})
	mux.HandleFunc("/plain.yaml", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://plain.example.com/x.yaml", http.StatusFound)
	})
	for code, path := range map[int]string{401: "/401", 403: "/403", 500: "/500"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	for path, want := range map[string]string{
		"/task.yaml": "", "/moved.yaml": "",
		"/broken.yaml":   "is not well-formed: line 1",
		"/empty.yaml":    "is empty: name a file with a Task",
		"/values.yaml":   "is no Kubernetes object",
		"/pod.yaml":      "is a Pod of v1 and no Task",
		"/pipeline.yaml": "is a Pipeline of tekton.dev/v1 and no Task",
		"/large.yaml":    "larger than 4 MiB",
		"/cut.yaml":      "the connection broke before the end",
		"/loop.yaml":     "it was redirected 10 times",
		"/plain.yaml":    "plain.example.com would be asked without TLS",
		"/401":           "the server answered 401 Unauthorized: tekgate has no credentials for it",
		"/403":           "the server answered 403 Forbidden",
		"/404":           "the server answered 404 Not Found: correct the reference",
		"/500":           "the server answered 500 Internal Server Error: try again later",
	} {
		found, err := get(t, quick(t), request("http", "url", server.URL+path))
		if want != "" {
			wantError(t, err, want)
		} else if err != nil || nameOf(found) != "x" {
			t.Errorf("%s: got %v %v", path, found, err)
		}
	}
}

// TestHTTPSecrets holds that a user and a password in a URL are sent, as Tekton does, and that neither they nor a
// fragment are printed or stored.
func TestHTTPSecrets(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "robot" || password != "pa55word" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, task("x", ""))
	}))
	defer server.Close()
	options := quick(t)
	r := open(t, options)
	address := strings.Replace(server.URL, "://", "://robot:pa55word@", 1) + "/x.yaml#s3cret"
	found, err := r.Resolve(t.Context(), request("http", "url", address))
	if err != nil || nameOf(found) != "x" || !strings.HasSuffix(found.Source, "/x.yaml") {
		t.Errorf("got %v %v", found, err)
	}
	name, err := r.Save()
	if err != nil || name == "" {
		t.Fatalf("saved %q: %v", name, err)
	}
	if text := read(t, name); strings.Contains(text, "s3cret") || strings.Contains(text, "pa55") ||
		strings.Contains(text, "robot") {
		t.Errorf("the lock has\n%s", text)
	}
	_, err = r.Resolve(t.Context(), request("http", "url", strings.Replace(address, "pa55word", "wr0ng", 1)))
	wantError(t, err, "401")
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("the error has a secret: %v", err)
	}
}

// TestHTTPAddress holds which addresses are asked.
func TestHTTPAddress(t *testing.T) {
	for address, want := range map[string]string{"http://127.0.0.1:1/x": "connection refused", "": "add it",
		"http://example.com/x": "--plain-http example.com", "ftp://example.com/x": "use https", "x": "is no URL",
		"http://169.254.169.254/latest": "without TLS"} {
		_, err := get(t, quick(t), request("http", "url", address))
		wantError(t, err, want)
	}
	options := quick(t)
	options.Registry.PlainHTTP = []string{"169.254.169.254"}
	_, err := get(t, options, request("http", "url", "http://169.254.169.254/latest"))
	wantError(t, err, "link-local")
}

// TestHTTPCertificate holds that an unknown authority is refused unless it is named.
func TestHTTPCertificate(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, task("x", ""))
	}))
	defer server.Close()
	_, err := get(t, quick(t), request("http", "url", server.URL))
	wantError(t, err, "name its certificate authority with --ca-file")
	options := quick(t)
	options.Registry.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(options.Registry.CAFile, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := get(t, options, request("http", "url", server.URL)); err != nil || nameOf(found) != "x" {
		t.Errorf("with its authority: got %v %v", found, err)
	}
}

// TestSlow holds that a server which does not answer is given up, for every resolver that asks one.
func TestSlow(t *testing.T) {
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(stop)
	options := quick(t)
	options.Patience = 300 * time.Millisecond
	options.ArtifactHub = server.URL
	host := strings.TrimPrefix(server.URL, "http://")
	for _, q := range []resolve.Request{request("http", "url", server.URL),
		request("hub", "name", "x", "version", "1.0.0"),
		request("git", "url", server.URL, "pathInRepo", "x"), request("bundles", "bundle", host+"/x:v1", "name", "x")} {
		start := time.Now()
		_, err := get(t, options, q)
		wantError(t, err, "did not answer within 300ms")
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("%s took %s", q.Resolver, took)
		}
	}
}

// TestSlowLocked holds that what the lock has is used where the server no longer answers.
func TestSlowLocked(t *testing.T) {
	r := newRepository(t, "")
	at := r.commit("a.yaml", task("a", ""))
	q := request("git", "url", r.URL, "revision", "main", "pathInRepo", "a.yaml")
	options := quick(t)
	if _, err := get(t, options, q); err != nil {
		t.Fatal(err)
	}
	r.silent.Store(true)
	options.Patience = 300 * time.Millisecond
	found, err := get(t, options, q)
	if err != nil || !strings.Contains(found.Note, "the locked definition was used, since ") ||
		!strings.Contains(found.Source, at[:12]) {
		t.Errorf("got %v %v", found, err)
	}
	pinned := request("git", "url", r.URL, "revision", at, "pathInRepo", "a.yaml")
	_, err = get(t, options, pinned)
	wantError(t, err, "did not answer within 300ms")
}

// TestHub holds the addresses of both hubs, their versions and defaults.
func TestHub(t *testing.T) {
	answers := map[string]string{
		"/api/v1/packages/tekton-task/tekton-catalog-tasks/git-clone/0.9.0": "artifact",
		"/api/v1/packages/tekton-task/mine/git-clone/0.9.0":                 "mine",
		"/api/v1/packages/tekton-task/tekton-catalog-tasks/git-clone/0.8.1": "constraint",
		"/v1/resource/Tekton/task/git-clone/0.9/yaml":                       "tekton",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, known := answers[r.URL.Path]
		switch {
		case r.URL.Path == "/api/v1/packages/tekton-task/tekton-catalog-tasks/git-clone":
			fmt.Fprint(w, `{"available_versions": [{"version": "0.8.0"}, {"version": "0.9.0"}, {"version": "0.8.1"}]}`)
		case strings.HasSuffix(r.URL.Path, "/odd/1.0.0"):
			fmt.Fprint(w, "<html>")
		case strings.HasSuffix(r.URL.Path, "/bare/1.0.0"):
			fmt.Fprint(w, "{}")
		case !known:
			w.WriteHeader(http.StatusNotFound)
		default:
			fmt.Fprintf(w, `{"data": {%q: %q}}`, map[bool]string{true: "yaml", false: "manifestRaw"}[name == "tekton"],
				task(name, ""))
		}
	}))
	defer server.Close()
	options := quick(t)
	options.ArtifactHub, options.TektonHub = server.URL+"/", server.URL
	for _, c := range []struct {
		params     string
		name, fail string
	}{
		{"version=0.9", "artifact", ""},
		{"version=0.9.0", "artifact", ""},
		{"version=0.9.0 catalog=mine", "mine", ""},
		{"version=0.9.0 type=tekton", "tekton", ""},
		{"version=<0.9.0", "constraint", ""},
		{"version=>2", "", "the hub has no version >2"},
		{"version=7.0.0", "", "404 Not Found"},
		{"version=1.0.0 name=odd", "", "is no JSON"},
		{"version=1.0.0 name=bare", "", "holds no definition"},
		{"version=1.0.0 type=docker", "", "write artifact or tekton"},
		{"name=git-clone", "", "give the params name and version"},
	} {
		q := request("hub", "name", "git-clone")
		for pair := range strings.FieldsSeq(c.params) {
			name, value, _ := strings.Cut(pair, "=")
			q.Params[name] = value
		}
		found, err := get(t, options, q)
		if c.fail != "" {
			wantError(t, err, c.fail)
		} else if err != nil || nameOf(found) != c.name {
			t.Errorf("%s: got %v %v", c.params, found, err)
		}
	}
	options.TektonHub = ""
	_, err := get(t, options, request("hub", "name", "x", "version", "1", "type", "tekton"))
	wantError(t, err, "no Tekton Hub is known", "--tekton-hub")
}

// TestOffline holds what the lock and the cache do without a network.
func TestOffline(t *testing.T) {
	text := task("x", "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	options := quick(t)
	q := request("http", "url", server.URL+"/x.yaml?access_token=correct-horse")
	offline := options
	offline.Offline = true
	_, err := get(t, offline, q)
	wantError(t, err, "is not in the lock, and --offline asks no server")
	if _, err := get(t, options, q); err != nil {
		t.Fatal(err)
	}
	if lock := read(t, options.Lock); strings.Contains(lock, "correct-horse") {
		t.Errorf("the token is in the lock:\n%s", lock)
	}
	text = task("y", "")
	_, err = get(t, options, q)
	wantError(t, err, "has changed: the lock has sha256:")
	server.Close()
	for _, o := range []resolve.Options{options, offline} {
		found, err := get(t, o, q)
		if err != nil || nameOf(found) != "x" || (found.Note == "") != o.Offline {
			t.Errorf("offline %v: got %v %v", o.Offline, found, err)
		}
		if strings.Contains(found.Note, "correct-horse") {
			t.Errorf("the token is in %s", found.Note)
		}
	}
	files, err := filepath.Glob(filepath.Join(options.Cache, "sha256", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got %v %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte(task("evil", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = get(t, offline, q)
	wantError(t, err, "is in the lock and not in the cache")
}

// TestLock holds that the lock is stable, keeps what a run did not meet, and that other files are refused.
func TestLock(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, task("x", ""))
	}))
	defer server.Close()
	options := quick(t)
	both := map[string]string{}
	for _, order := range []string{"ab", "ba"} {
		o := options
		o.Lock += order
		for _, name := range order {
			if _, err := get(t, o, request("http", "url", server.URL+"/"+string(name))); err != nil {
				t.Fatal(err)
			}
		}
		both[order] = read(t, o.Lock)
	}
	if both["ab"] != both["ba"] || strings.Count(both["ab"], "- from:") != 2 {
		t.Errorf("the lock depends on the order:\n%s\n%s", both["ab"], both["ba"])
	}
	o := options
	o.Lock, o.Update = o.Lock+"ab", true
	if _, err := get(t, o, request("http", "url", server.URL+"/a")); err != nil {
		t.Fatal(err)
	}
	if text := read(t, o.Lock); strings.Count(text, "- from:") != 1 {
		t.Errorf("--update keeps what is not used:\n%s", text)
	}
	for text, want := range map[string]string{
		"apiVersion: tekgate.dev/v1alpha1\nkind: Lock\nimages: []\n":                                    "is a lock of another kind",
		"apiVersion: tekgate.dev/v1alpha1\nkind: ReferenceLock\nreferences: [{resolver: git}]\n":        "references[0] has no SHA-256",
		"apiVersion: tekgate.dev/v1alpha1\nkind: ReferenceLock\nrefs: []\n":                             "refs",
		"apiVersion: tekgate.dev/v1alpha1\nkind: ReferenceLock\nreferences: [{sha256: ../../etc, x: 1}": "reading the lock",
	} {
		if err := os.WriteFile(options.Lock, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := resolve.New(options)
		wantError(t, err, want)
	}
}

// TestURLs holds that beginnings of URLs are replaced, the longest first and whole parts of paths alone.
func TestURLs(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, task(strings.ReplaceAll(strings.Trim(r.URL.Path, "/"), "/", "-"), ""))
	}))
	defer server.Close()
	options := quick(t)
	options.URLs = map[string]string{"https://a.example.com/": server.URL + "/short/",
		"https://a.example.com/deep/": server.URL + "/long/", "https://b.example.com": server.URL + "/b"}
	for address, want := range map[string]string{"https://a.example.com/x": "short-x",
		"https://a.example.com/deep/x": "long-x", "https://b.example.com/x": "b-x"} {
		if found, err := get(t, options, request("http", "url", address)); err != nil || nameOf(found) != want {
			t.Errorf("%s: got %v %v", address, found, err)
		}
	}
	_, err := get(t, options, request("http", "url", "http://b.example.com.evil.example/x"))
	wantError(t, err, "b.example.com.evil.example")
}

// TestOnce holds that equal requests share one answer, and others do not.
func TestOnce(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprint(w, task("x", ""))
	}))
	defer server.Close()
	r := open(t, quick(t))
	q := request("http", "url", server.URL)
	for range 3 {
		if _, err := r.Resolve(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	other := resolve.Request{Resolver: "http", Kind: "Pipeline", Params: maps.Clone(q.Params)}
	_, err := r.Resolve(t.Context(), other)
	wantError(t, err, "no Pipeline")
	if asked != 2 {
		t.Errorf("the server was asked %d times", asked)
	}
}
