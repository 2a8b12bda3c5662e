package resolve_test

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekgate/tekgate/internal/imagetest"
)

func task(name, more string) string {
	return fmt.Sprintf("apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: %s}\nspec:\n  steps: [{image: alpine}]\n%s",
		name, more)
}

// registryHost starts a registry and returns its host.
func registryHost(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(imagetest.Registry())
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// repository is a git repository that a real git serves over HTTP.
type repository struct {
	t      *testing.T
	folder string
	URL    string
	silent atomic.Bool // whether the server does not answer
}

// newRepository makes one. With a password, the server asks for it as user:password.
func newRepository(t *testing.T, password string) *repository {
	t.Helper()
	path, err := exec.LookPath("git")
	if err != nil {
		t.Skip("git is not installed")
	}
	core, err := exec.Command(path, "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	r := &repository{t: t, folder: filepath.Join(root, "catalog")}
	if err := os.Mkdir(r.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	r.git("init", "--quiet", "--initial-branch=main", ".")
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Root: "/",
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.silent.Load() {
			<-request.Context().Done()
			return
		}
		if _, given, _ := request.BasicAuth(); given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL + "/catalog/.git"
	return r
}

func (r *repository) git(arguments ...string) string {
	r.t.Helper()
	who := []string{"-c", "user.name=x", "-c", "user.email=x@example.com"}
	command := exec.Command("git", append(who, arguments...)...)
	command.Dir = r.folder
	out, err := command.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", arguments, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes a file and returns the commit.
func (r *repository) commit(name, text string) string {
	r.t.Helper()
	file := filepath.Join(r.folder, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("commit", "--quiet", "-m", name)
	return r.git("rev-parse", "HEAD")
}
