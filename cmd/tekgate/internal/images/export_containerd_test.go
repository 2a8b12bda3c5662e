package images

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/clients"
)

// upset is a registry that records requests, and answers some of them otherwise.
type upset struct {
	host   string
	inside http.Handler

	mutex  sync.Mutex
	asked  []string // method, path and user
	answer other
}

func newUpset(t *testing.T) *upset {
	t.Helper()
	u := &upset{inside: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	s := httptest.NewServer(u)
	t.Cleanup(s.Close)
	u.host = strings.TrimPrefix(s.URL, "http://")
	return u
}

func (u *upset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, _, _ := r.BasicAuth()
	u.mutex.Lock()
	answer := u.answer
	u.asked = append(u.asked, r.Method+" "+r.URL.RequestURI()+" "+user)
	u.mutex.Unlock()
	if answer == nil || !answer(w, r) {
		u.inside.ServeHTTP(w, r)
	}
}

// becomes sets the answers, and forgets what was asked.
func (u *upset) becomes(answer other) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.answer, u.asked = answer, nil
}

// was reports whether a request that begins and ends like this was made.
func (u *upset) was(begin, end string) bool {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return slices.ContainsFunc(u.asked, func(one string) bool {
		return strings.HasPrefix(one, begin) && strings.HasSuffix(one, end)
	})
}

func (u *upset) list() string {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return strings.Join(u.asked, "\n")
}

// mirrored is a containerd with the exported hosts.toml, and an image on the mirror and upstream.
type mirrored struct {
	*clients.Containerd
	mirror, upstream *upset
	image, digest    string
	flags            []string // the release and the mirror
	toml             string
}

func newMirrored(t *testing.T) mirrored {
	t.Helper()
	if testing.Short() {
		t.Skip("needs containerd, which -short does without")
	}
	m := mirrored{Containerd: clients.StartContainerd(t), mirror: newUpset(t), upstream: newUpset(t)}
	m.image = m.upstream.host + "/a/x:1"
	all := clitest.Index(t)
	m.digest = clitest.Push(t, m.image, all)
	clitest.Push(t, m.mirror.host+"/hub/a/x:1", all)
	m.flags = []string{
		"--config", clitest.File(t, "c.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
			"mirror: {keep: ['ghcr.io/tekgate/**'], rules: [{match: '"+m.upstream.host+"/**', to: '"+m.mirror.host+
			"/hub/{path}'}]}\n"),
		"--pipeline-manifest", clitest.File(t, "pod.yaml",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: '"+m.image+"'}]}\n"),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n"),
	}
	m.toml, _ = program.Must(t, append([]string{"images", "export", "--format", "containerd"}, m.flags...)...)
	m.Hosts(t, m.upstream.host, m.toml)
	return m
}

func status(code int) other {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

// other answers a request otherwise than the registry would, or reports false.
type other func(http.ResponseWriter, *http.Request) bool

func on(method, part string, answer other) other {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return (method == "" || r.Method == method) && strings.Contains(r.URL.Path, part) && answer(w, r)
	}
}

func webPage(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/login" {
		http.Redirect(w, r, "/login", http.StatusFound)
		return true
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>please log in</html>")
	return true
}

// The comment of the exported file says which answers of the mirror make containerd ask upstream.
func TestContainerdAsksNext(t *testing.T) {
	m := newMirrored(t)
	if !strings.Contains(m.toml, "404, 401 without a challenge, 403, 429 (after retries) or 500, and if it lacks a blob") ||
		!strings.Contains(m.toml, "not if the mirror redirects to a web page") {
		t.Errorf("the comment says something else:\n%s", m.toml)
	}
	for name, c := range map[string]struct {
		answer   other
		upstream bool // whether it is asked
		fails    bool
	}{
		"fine":          {nil, false, false},
		"404":           {status(404), true, false},
		"401":           {status(401), true, false},
		"403":           {status(403), true, false},
		"429":           {status(429), true, false},
		"500":           {status(500), true, false},
		"blobs are 404": {on("", "/blobs/", status(404)), true, false},
		"HEAD is 405":   {on(http.MethodHead, "/manifests/", status(405)), false, false},
		"HEAD is 404":   {on(http.MethodHead, "/manifests/", status(404)), true, false},
		"a web page":    {webPage, false, true},
	} {
		for _, image := range []string{m.image, m.upstream.host + "/a/x@" + m.digest} {
			m.mirror.becomes(c.answer)
			m.upstream.becomes(nil)
			pulled := m.Pull(t, image, "")
			if (pulled.Error != "") != c.fails {
				t.Errorf("%s, %s: %s", name, image, pulled.Error)
			}
			if asked := m.upstream.list(); (asked != "") != c.upstream {
				t.Errorf("%s, %s: upstream was asked\n%s\nand the mirror\n%s", name, image, asked, m.mirror.list())
			}
		}
	}
}

// A mirror gets the account that the Secret has for the upstream host. The path is that of the
// mirror, and of tag and digest only the digest is asked for.
func TestContainerdSends(t *testing.T) {
	m := newMirrored(t)
	wants := func(user string) other {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if got, _, _ := r.BasicAuth(); got == user {
				return false
			}
			w.Header().Set("Www-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
	}
	m.mirror.becomes(wants("mirror"))
	m.upstream.becomes(wants("upstream"))
	if pulled := m.Pull(t, m.image, "upstream"); pulled.Error != "" || !m.mirror.was("HEAD ", " upstream") ||
		!m.upstream.was("HEAD /v2/a/x/manifests/1", " upstream") {
		t.Errorf("the account upstream: %s\nmirror\n%s\nupstream\n%s", pulled.Error, m.mirror.list(), m.upstream.list())
	}
	m.mirror.becomes(wants("mirror"))
	m.upstream.becomes(wants("upstream"))
	if pulled := m.Pull(t, m.image, "mirror"); pulled.Error != "" || m.upstream.list() != "" ||
		!m.mirror.was("HEAD /v2/hub/a/x/manifests/1?ns="+strings.ReplaceAll(m.upstream.host, ":", "%3A"), " mirror") {
		t.Errorf("the mirror's account under the upstream host: %s\nmirror\n%s\nupstream\n%s", pulled.Error,
			m.mirror.list(), m.upstream.list())
	}
	m.mirror.becomes(nil)
	m.upstream.becomes(nil)
	pulled := m.Pull(t, m.image+"@"+m.digest, "")
	if pulled.Error != "" || len(pulled.Tags) != 0 || m.mirror.was("HEAD /v2/hub/a/x/manifests/1?", "") ||
		!slices.Equal(pulled.Digests, []string{m.upstream.host + "/a/x@" + m.digest}) {
		t.Errorf("tag and digest: %+v\n%s", pulled, m.mirror.list())
	}
}

// What `images verify` calls ok can be pulled, and what it calls missing cannot.
func TestContainerdAsVerified(t *testing.T) {
	m := newMirrored(t)
	for name, c := range map[string]struct {
		answer other
		want   string // the status, and what a warning says
		pulls  bool
	}{
		"fine":        {nil, "ok ", true},
		"HEAD is 405": {on(http.MethodHead, "/manifests/", status(405)), "ok ", true},
		"HEAD is 404": {on(http.MethodHead, "/manifests/", status(404)), "missing ", false},
		"no layer":    {on("", "/blobs/", status(404)), "incomplete ", false},
		"a web page":  {webPage, "unreachable ", false},
	} {
		m.upstream.becomes(status(http.StatusServiceUnavailable))
		m.mirror.becomes(c.answer)
		out, _, _ := program.Run(t, "", append([]string{"images", "verify"}, m.flags...)...)
		if !strings.Contains("\n"+out, "\n"+c.want) {
			t.Errorf("%s: verify lacks %q:\n%s", name, c.want, out)
		}
		m.mirror.becomes(c.answer)
		if pulled := m.Pull(t, m.image, ""); (pulled.Error == "") != c.pulls {
			t.Errorf("%s: %s", name, pulled.Error)
		}
	}
}

// The archive gives images their upstream names, as docs/mirrors.md says of each tool.
func TestArchiveElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("needs containerd, which -short does without")
	}
	s := newScene(t)
	archive := filepath.Join(t.TempDir(), "tekton.tar")
	s.run(t, "images", "save", archive, "--from", s.source)
	const x = "quay.io/a/x:1"
	t.Run("skopeo", func(t *testing.T) {
		if _, err := exec.LookPath("skopeo"); err != nil {
			t.Skip("skopeo is not installed")
		}
		to := clitest.Mirror(t) + "/x:1"
		runTool(t, "skopeo", "copy", "--all", "--dest-tls-verify=false",
			"oci-archive:"+archive+":"+x, "docker://"+to)
		version, err := exec.CommandContext(t.Context(), "skopeo", "--version").Output()
		old := strings.HasPrefix(string(version), "skopeo version 1.9.")
		if got := clitest.Digest(t, to); err != nil || old && got == s.digests["x:1"] {
			t.Errorf("%s keeps the digest of an index, which docs/mirrors.md denies (error %v)", version, err)
		}
	})
	t.Run("podman", func(t *testing.T) {
		if _, err := exec.LookPath("podman"); err != nil {
			t.Skip("podman is not installed")
		}
		folder := t.TempDir()
		out, err := exec.CommandContext(t.Context(), "podman", "--storage-driver", "vfs", "--root", folder+"/root",
			"--runroot", folder+"/run", "load", "-i", archive).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "more than one image") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("containerd", func(t *testing.T) {
		c := clients.StartContainerd(t)
		for _, withBase := range []bool{true, false} {
			args := []string{"images", "import", "--snapshotter", "native"}
			if withBase {
				args = append(args, "--base-name", "x.test/y")
			}
			if out, err := c.Ctr(t, append(args, archive)...); err != nil {
				t.Fatalf("import: %v\n%s", err, out)
			}
			names, err := c.Ctr(t, "images", "list", "-q")
			if err != nil || strings.Contains("\n"+names, "\n"+x+"\n") == withBase {
				t.Errorf("with --base-name %v: %v\n%s", withBase, err, names)
			}
		}
	})
}
