package clients_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/credentials/clients"
)

// registry refuses everybody, and records who asked for a repository.
type registry struct {
	host  string
	mutex sync.Mutex
	users []string
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.host = strings.TrimPrefix(s.URL, "http://")
	return r
}

func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if user, _, _ := request.BasicAuth(); user != "" { // anonymous programs send an empty one
		r.mutex.Lock()
		r.users = append(r.users, user)
		r.mutex.Unlock()
	}
	w.Header().Set("Www-Authenticate", `Basic realm="test"`)
	w.WriteHeader(http.StatusUnauthorized)
}

// seen returns who asked since the last call, each once.
func (r *registry) seen() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	slices.Sort(r.users)
	users := slices.Compact(r.users)
	r.users = nil
	return users
}

// auths returns a Docker configuration with a login for each key: the user is the value.
func auths(users map[string]string) string {
	entries := map[string]any{}
	for key, user := range users {
		entries[key] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":pw"))}
	}
	text, err := json.Marshal(map[string]any{"auths": entries})
	if err != nil {
		panic(err) // strings
	}
	return string(text)
}

// debian is a program of Debian's packages that pulls an image.
type debian struct {
	name string
	args []string // before the image
}

// programs returns those that are installed. Debian 12 has skopeo 1.9.3, buildah 1.28.2 and podman
// 4.3.1.
func programs(t *testing.T) []debian {
	t.Helper()
	store := []string{"--storage-driver", "vfs", "--root", filepath.Join(t.TempDir(), "root"),
		"--runroot", filepath.Join(t.TempDir(), "run")}
	all := []debian{
		{"skopeo", []string{"inspect", "--tls-verify=false"}},
		{"buildah", append(slices.Clone(store), "pull", "-q", "--tls-verify=false")},
		{"podman", append(slices.Clone(store), "pull", "-q", "--tls-verify=false")},
	}
	var installed []debian
	for _, one := range all {
		if _, err := exec.LookPath(one.name); err != nil {
			t.Logf("NOT RUN: %s: %v", one.name, err)
			continue
		}
		installed = append(installed, one)
	}
	if len(installed) == 0 {
		t.Skip("none of Debian's skopeo, buildah and podman is installed")
	}
	return installed
}

// pull asks for an image, which the registry refuses. The files are put into a new home.
func (d debian) pull(t *testing.T, image string, files map[string]string, env ...string) {
	t.Helper()
	home := t.TempDir()
	for name, text := range files {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), d.name, append(slices.Clone(d.args), "docker://"+image)...)
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	for _, one := range env {
		cmd.Env = append(cmd.Env, strings.ReplaceAll(one, "HOME/", home+"/"))
	}
	out, err := cmd.CombinedOutput()
	refused := func(word string) bool { return strings.Contains(string(out), word) }
	words := []string{"authentication required", "unauthorized", "unable to retrieve auth token"}
	if err == nil || !slices.ContainsFunc(words, refused) {
		t.Errorf("%s %v: %v\n%s", d.name, cmd.Args, err, out)
	}
}

// Debian's programs send what `tekgate credentials explain` says of them.
func TestDebianAsExplained(t *testing.T) {
	all, r := programs(t), newRegistry(t)
	image, err := clients.ParseImage(r.host + "/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	explained := func(config string) []string {
		t.Helper()
		parsed, err := clients.Parse([]byte(config))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range clients.Explain(clients.Source{Config: parsed}, image) {
			if !strings.Contains(e.Client, "skopeo") {
				continue
			}
			var users []string
			for _, sent := range e.Sends {
				users = append(users, sent.Username)
			}
			return users
		}
		t.Fatal("skopeo is not explained")
		return nil
	}
	h := r.host
	for name, config := range map[string]string{
		"host":                   auths(map[string]string{h: "h"}),
		"host, team and app":     auths(map[string]string{h: "h", h + "/team": "t", h + "/team/app": "a"}),
		"team":                   auths(map[string]string{h + "/team": "t"}),
		"app's neighbour":        auths(map[string]string{h: "h", h + "/team/ap": "n"}),
		"other repository alone": auths(map[string]string{h + "/other": "o"}),
		"https":                  auths(map[string]string{"https://" + h: "s"}),
		"API version":            auths(map[string]string{"https://" + h + "/v2/": "v"}),
		"another port":           auths(map[string]string{"127.0.0.1:1": "x"}),
		"no auth":                `{"auths":{"` + h + `":{"username":"u","password":"p"}}}`,
		"empty auth":             `{"auths":{"` + h + `":{"username":"u","password":"p","auth":""}}}`,
	} {
		want := explained(config)
		for _, program := range all {
			program.pull(t, r.host+"/team/app:v1", map[string]string{"dc/config.json": config}, "DOCKER_CONFIG=HOME/dc")
			if got := r.seen(); !slices.Equal(got, want) {
				t.Errorf("%s, %s: sent %q, explained %q", program.name, name, got, want)
			}
		}
	}
}

// Which of several files counts is what the rule docker-config goes by: see builder.Known.
func TestDebianAuthFiles(t *testing.T) {
	r := newRegistry(t)
	login := func(user string) string { return auths(map[string]string{r.host: user}) }
	other := auths(map[string]string{"other.test": "other"})
	for _, program := range programs(t) {
		i := slices.IndexFunc(builder.Known, func(b builder.Builder) bool { return b.Name == program.name })
		if i < 0 || builder.Known[i].AuthFile != builder.AuthFileAlone {
			t.Errorf("%s: %+v", program.name, builder.Known[i])
		}
		home := "config" // skopeo looks into the home before DOCKER_CONFIG, the others after it
		if program.name != "skopeo" {
			home = "docker"
		}
		for name, c := range map[string]struct {
			files map[string]string
			env   []string
			want  string
		}{
			"DOCKER_CONFIG": {map[string]string{"dc/config.json": login("docker")},
				[]string{"DOCKER_CONFIG=HOME/dc"}, "docker"},
			"$HOME/.docker": {map[string]string{".docker/config.json": login("home")}, nil, "home"},
			"DOCKER_CONFIG beside $HOME/.docker": {map[string]string{"dc/config.json": login("docker"),
				".docker/config.json": login("home")}, []string{"DOCKER_CONFIG=HOME/dc"}, "docker"},
			"DOCKER_CONFIG beside .config/containers": {map[string]string{"dc/config.json": login("docker"),
				".config/containers/auth.json": login("config")}, []string{"DOCKER_CONFIG=HOME/dc"}, home},
			"REGISTRY_AUTH_FILE comes first": {map[string]string{"dc/config.json": login("docker"),
				"raf.json": login("raf")}, []string{"DOCKER_CONFIG=HOME/dc", "REGISTRY_AUTH_FILE=HOME/raf.json"}, "raf"},
			// Newer releases read it alone, which the rule assumes: it leaves such a step as it is.
			"REGISTRY_AUTH_FILE for another registry": {map[string]string{"dc/config.json": login("docker"),
				"raf.json": other}, []string{"DOCKER_CONFIG=HOME/dc", "REGISTRY_AUTH_FILE=HOME/raf.json"}, "docker"},
		} {
			program.pull(t, r.host+"/app:v1", c.files, c.env...)
			if got := r.seen(); !slices.Equal(got, []string{c.want}) {
				t.Errorf("%s, %s: sent %q, want %q (files %q)", program.name, name, got, c.want,
					slices.Sorted(maps.Keys(c.files)))
			}
		}
	}
}
