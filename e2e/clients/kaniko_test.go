package clients_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekgate/tekgate/e2e/clients"
	"github.com/tekgate/tekgate/internal/kaniko"
)

// mirrors is a registry that holds images below some paths, and records what is asked for.
type mirrors struct {
	host   string
	inside http.Handler
	status int // the answer to everything, if it is not 0

	mutex sync.Mutex
	asked []string // manifests
}

func newMirrors(t *testing.T, images ...string) *mirrors {
	t.Helper()
	m := &mirrors{inside: inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0)))}
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	m.host = strings.TrimPrefix(s.URL, "http://")
	for _, at := range images {
		img, err := random.Image(64, 1)
		if err != nil {
			t.Fatal(err)
		}
		ref, err := name.ParseReference(m.host + "/" + at)
		if err == nil {
			err = remote.Write(ref, img)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *mirrors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path, is := strings.CutPrefix(r.URL.Path, "/v2/"); is && strings.Contains(path, "/manifests/") {
		m.mutex.Lock()
		m.asked = append(m.asked, r.Method+" "+path)
		m.mutex.Unlock()
	}
	if m.status != 0 {
		w.WriteHeader(m.status)
		return
	}
	m.inside.ServeHTTP(w, r)
}

// seen returns the manifests that were asked for since the last call, each once, in order.
func (m *mirrors) seen() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	asked := slices.Compact(m.asked)
	m.asked = nil
	return strings.Join(asked, ", ")
}

// Kaniko applies a registry map as the rule kaniko and the rule kaniko-registry-map go by.
func TestKanikoMap(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Kaniko, which -short does without")
	}
	m := newMirrors(t, "hub/library/alpine:3.20", "hub/bitnami/git:latest", "mirror/library/alpine:3.20",
		"quay/a/b:1", "second/library/alpine:3.20", "hub/library/busybox:1.36")
	_ = m.seen()
	const hub = "GET hub/library/alpine/manifests/3.20"
	const alpine = "FROM alpine:3.20\n"
	for _, c := range []struct {
		name, dockerfile string
		registries, flag string // the values of KANIKO_REGISTRY_MAP and --registry-map
		mirror           string // of KANIKO_REGISTRY_MIRROR
		want             string
		fails            string // what the error contains; empty for none
	}{
		{"Docker Hub", alpine, "index.docker.io=HOST/hub", "", "", hub, ""},
		{"no tag", "FROM bitnami/git\n", "index.docker.io=HOST/hub", "", "", "GET hub/bitnami/git/manifests/latest", ""},
		{"another registry", "FROM quay.io/a/b:1\n", "index.docker.io=HOST/hub;quay.io=HOST/quay", "", "",
			"GET quay/a/b/manifests/1", ""},
		{"a slash at the end", alpine, "index.docker.io=HOST/hub/", "", "", hub, ""},
		{"COPY --from", "FROM scratch\nCOPY --from=docker.io/library/busybox:1.36 / /x/\n", "index.docker.io=HOST/hub", "", "",
			"GET hub/library/busybox/manifests/1.36", ""},
		{"ARG", "ARG BASE=alpine:3.20\nFROM ${BASE}\n", "index.docker.io=HOST/hub", "", "", hub, ""},
		{"a frontend is not asked for", "# syntax=docker.io/docker/dockerfile:1\n" + alpine, "index.docker.io=HOST/hub", "", "",
			hub, ""},
		{"an empty part hides what follows", "FROM quay.io/a/b:1\n", "index.docker.io=HOST/hub;;quay.io=HOST/quay", "", "", "",
			"quay.io"},
		{"docker.io is never applied", alpine, "docker.io=HOST/hub", "", "", "", "index.docker.io"},
		{"registry-1.docker.io is never applied", alpine, "registry-1.docker.io=HOST/hub", "", "", "", "index.docker.io"},
		{"a path is never applied", alpine, "index.docker.io/library=HOST/hub", "", "", "", "index.docker.io"},
		{"the map comes before the mirror", alpine, "index.docker.io=HOST/hub", "", "HOST/mirror", hub, ""},
		{"the mirror comes after the map", alpine, "index.docker.io=HOST/none", "", "HOST/mirror",
			"GET none/library/alpine/manifests/3.20, GET mirror/library/alpine/manifests/3.20", ""},
		{"flag and variable extend each other", alpine, "index.docker.io=HOST/second", "index.docker.io=HOST/none", "",
			"GET none/library/alpine/manifests/3.20, GET second/library/alpine/manifests/3.20", ""},
		{"the variable counts beside a flag", "FROM quay.io/a/b:1\n", "quay.io=HOST/quay", "index.docker.io=HOST/hub", "",
			"GET quay/a/b/manifests/1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			here := strings.NewReplacer("HOST", m.host)
			value := here.Replace(c.registries)
			env := []string{"KANIKO_REGISTRY_MAP=" + value}
			if c.mirror != "" {
				env = append(env, "KANIKO_REGISTRY_MIRROR="+here.Replace(c.mirror))
			}
			args := []string{"--no-push"}
			if c.flag != "" {
				args = append(args, "--registry-map="+here.Replace(c.flag))
			}
			out, err := clients.Kaniko(t, c.dockerfile, "{}", env, args...)
			if got := m.seen(); got != c.want || (err != nil) != (c.fails != "") || !strings.Contains(out, c.fails) {
				t.Errorf("asked for %q, want %q; error %v\n%s", got, c.want, err, out)
			}
			if problems := kaniko.MapProblems(value); (len(problems) > 0) != (c.fails != "") {
				t.Errorf("%s: the rule finds %q", value, problems)
			}
		})
	}
}

// Neither --destination nor --cache-repo is mapped, and the last error names Docker Hub, whatever
// the mirror answered: docs/mutation.md says where to look.
func TestKanikoErrors(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Kaniko, which -short does without")
	}
	m := newMirrors(t, "hub/library/alpine:3.20")
	env := []string{"KANIKO_REGISTRY_MAP=index.docker.io=" + m.host + "/hub"}
	out, err := clients.Kaniko(t, "FROM alpine:3.20\n", "{}", env, "--destination=docker.io/me/app:1")
	if err == nil || !strings.Contains(out, "error checking push permissions") ||
		!strings.Contains(out, "https://index.docker.io/v2/") || strings.Contains(m.seen(), "me/app") {
		t.Errorf("--destination: %v\n%s", err, out)
	}
	for _, status := range []int{http.StatusNotFound, http.StatusUnauthorized, http.StatusTooManyRequests,
		http.StatusInternalServerError} {
		m.status = status
		for _, variable := range []string{"KANIKO_REGISTRY_MIRROR=", "KANIKO_REGISTRY_MAP=index.docker.io="} {
			out, err := clients.Kaniko(t, "FROM alpine:3.20\n", "{}", []string{variable + m.host + "/hub"}, "--no-push")
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if last := lines[len(lines)-1]; err == nil || !strings.Contains(last, "https://index.docker.io/v2/") ||
				strings.Contains(last, m.host) {
				t.Errorf("%s%d: %v\n%s", variable, status, err, out)
			}
		}
	}
}

// --kaniko-dir makes this Kaniko look for credentials elsewhere, whatever DOCKER_CONFIG says.
func TestKanikoDir(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Kaniko, which -short does without")
	}
	r := newRegistry(t)
	for _, c := range []struct {
		args []string
		want []string // who asks
	}{
		{nil, []string{"user"}},
		{[]string{"--kaniko-dir=/kd"}, nil},
	} {
		_, err := clients.Kaniko(t, "FROM "+r.host+"/app:v1\n", auths(map[string]string{r.host: "user"}),
			[]string{"DOCKER_CONFIG=/dc"}, append(c.args, "--no-push")...)
		if got := r.seen(); err == nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q asked, want %q (error %v)", c.args, got, c.want, err)
		}
	}
	if kaniko.MovedDockerConfig("cgr.dev/chainguard/kaniko", kaniko.Release("v1.25.5")) != kaniko.ReplacesDockerConfig {
		t.Error("the rule docker-config does not know that")
	}
}
