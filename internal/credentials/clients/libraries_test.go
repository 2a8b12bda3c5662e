package clients

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	e2eclients "github.com/tekgate/tekgate/e2e/clients"
)

// fields are what a test writes for a key. Its values name the entry that they are of.
type fields map[string]string

func auth(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// login is an entry as most programs write it.
func login(n int) fields { return fields{"auth": auth(fmt.Sprintf("u%d:p%d", n, n))} }

// full is an entry as `tekgate credentials` writes it.
func full(n int) fields {
	user, password := fmt.Sprintf("u%d", n), fmt.Sprintf("p%d", n)
	return fields{"auth": auth(user + ":" + password), "username": user, "password": password}
}

// keys returns a configuration with a login for each key.
func keys(all ...string) map[string]fields {
	config := map[string]fields{}
	for i, key := range all {
		config[key] = login(i + 1)
	}
	return config
}

// shape is a kind of configuration.
type shape struct {
	name   string
	config map[string]fields
}

// hosts are shapes of keys for one host.
var hosts = []shape{
	{"host", keys("reg.test")},
	{"host with a port", keys("reg.test:5000")},
	{"both ports", keys("reg.test", "reg.test:5000")},
	{"default port", keys("reg.test:443")},
	{"path", keys("reg.test/team")},
	{"path of the repository", keys("reg.test/team/app")},
	{"path with a port", keys("reg.test:5000/team")},
	{"host and path", keys("reg.test", "reg.test/team")},
	{"host, team and app", keys("reg.test", "reg.test/team", "reg.test/team/app")},
	{"two paths", keys("reg.test/team", "reg.test/other")},
	{"team and app", keys("reg.test/team", "reg.test/team/app")},
	{"half a segment", keys("reg.test/te")},
	{"trailing slash", keys("reg.test/")},
	{"path with a trailing slash", keys("reg.test/team/")},
	{"https", keys("https://reg.test")},
	{"https and a slash", keys("https://reg.test/")},
	{"http", keys("http://reg.test")},
	{"https and a path", keys("https://reg.test/team")},
	{"API version", keys("https://reg.test/v2/")},
	{"API version without a slash", keys("https://reg.test/v2")},
	{"API version without a scheme", keys("reg.test/v1/")},
	{"API version and a path", keys("https://reg.test/v2/team")},
	{"three spellings", keys("reg.test", "https://reg.test", "https://reg.test/v2/")},
	{"two spellings without the plain one", keys("https://reg.test", "http://reg.test/")},
	{"wildcard", keys("*.test")},
	{"wildcard and host", keys("*.test", "reg.test")},
	{"wildcard that does not fit", keys("*.reg.test")},
	{"wildcard with a path", keys("*.test/team")},
	{"capital host", keys("REG.test")},
	{"another host", keys("other.test")},
	{"no entry", nil},
}

var hostImages = []string{
	"reg.test/team/app:v1", "reg.test/team/app/deeper", "reg.test/team/appendix", "reg.test/other/x", "reg.test/team",
	"reg.test:5000/team/app", "reg.test:443/team/app", "REG.test/team/app",
	"reg.test/team/app@sha256:" + digest,
}

const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// hub are shapes of keys for Docker Hub.
var hub = []shape{
	{"canonical", keys(DockerHub)},
	{"docker.io", keys("docker.io")},
	{"https docker.io", keys("https://docker.io")},
	{"index", keys("index.docker.io")},
	{"https index", keys("https://index.docker.io")},
	{"index with a slash", keys("index.docker.io/")},
	{"index v1", keys("index.docker.io/v1/")},
	{"canonical without a slash", keys("https://index.docker.io/v1")},
	{"index v2", keys("https://index.docker.io/v2/")},
	{"registry-1", keys("registry-1.docker.io")},
	{"https registry-1", keys("https://registry-1.docker.io")},
	{"canonical and docker.io", keys(DockerHub, "docker.io")},
	{"docker.io and index", keys("docker.io", "index.docker.io")},
	{"canonical and index", keys(DockerHub, "index.docker.io")},
	{"path", keys("docker.io/library")},
	{"path of index", keys("index.docker.io/library/alpine")},
	{"canonical and a path", keys(DockerHub, "docker.io/library")},
}

var hubImages = []string{
	"alpine:3", "docker.io/library/alpine:3", "index.docker.io/library/alpine", "team/app", "registry-1.docker.io/team/app",
}

// entries are shapes of an entry, and of several.
var entries = []shape{
	{"as written here", map[string]fields{"reg.test": full(1)}},
	{"no auth", map[string]fields{"reg.test": {"username": "u1", "password": "p1"}}},
	{"empty auth", map[string]fields{"reg.test": {"username": "u1", "password": "p1", "auth": ""}}},
	{"auth that differs", map[string]fields{"reg.test": {"username": "u1", "password": "p1", "auth": auth("u2:p2")}}},
	{"identity token", map[string]fields{"reg.test": {"identitytoken": "i1"}}},
	{"login and identity token", map[string]fields{"reg.test": {"auth": auth("u1:p1"), "identitytoken": "i1"}}},
	{"user and identity token", map[string]fields{"reg.test": {"auth": auth("u1:"), "identitytoken": "i1"}}},
	{"registry token", map[string]fields{"reg.test": {"registrytoken": "r1"}}},
	{"nothing", map[string]fields{"reg.test": {}}},
	{"nothing, and a URL", map[string]fields{"reg.test": {}, "https://reg.test": login(2)}},
	{"nothing for the repository", map[string]fields{"reg.test/team/app": {}, "reg.test": login(2)}},
	{"no auth for the team", map[string]fields{"reg.test/team": {"username": "u1", "password": "p1"},
		"reg.test": login(2)}},
	{"user alone", map[string]fields{"reg.test": {"username": "u1"}}},
	{"password alone", map[string]fields{"reg.test": {"password": "p1"}}},
	{"empty password", map[string]fields{"reg.test": {"auth": auth("u1:")}}},
	{"empty user", map[string]fields{"reg.test": {"auth": auth(":p1")}}},
	{"no padding", map[string]fields{"reg.test": {"auth": strings.TrimRight(auth("u1:p11"), "=")}}},
	{"no colon", map[string]fields{"reg.test": {"auth": auth("u1")}}},
	{"not base64", map[string]fields{"reg.test": {"auth": "u1:p1"}}},
	{"no colon elsewhere", map[string]fields{"reg.test": full(1), "b.test": {"auth": auth("u2")}}},
	{"not base64 elsewhere", map[string]fields{"reg.test": login(1), "b.test": {"auth": "u2:p2"}}},
	{"colon in the password", map[string]fields{"reg.test": {"auth": auth("u1:p:1")}}},
	{"two logins, two spellings", map[string]fields{"reg.test": full(1), "http://reg.test": full(2)}},
	{"login and token, two spellings", map[string]fields{"reg.test": login(1),
		"https://reg.test": {"identitytoken": "i2"}}},
	{"a line break after the password", map[string]fields{"reg.test": {"auth": auth("u1:p1\n")}}},
	{"another field", map[string]fields{"reg.test": {"auth": auth("u1:p1"), "email": "a@b.test"}}},
}

type row struct {
	name string
	e2eclients.Question
}

// rows are all shapes with all images of their kind.
func rows(t *testing.T) []row {
	t.Helper()
	var all []row
	add := func(kind string, shapes []shape, images ...string) {
		for _, s := range shapes {
			text, err := json.Marshal(map[string]any{"auths": s.config})
			if err != nil {
				t.Fatal(err)
			}
			repeat := 1
			if len(s.config) > 1 {
				repeat = 250 // an order that comes in one of eight cases is then never missed
			}
			for _, image := range images {
				all = append(all, row{kind + ", " + s.name + ", " + image,
					e2eclients.Question{Config: string(text), Image: image, Repeat: repeat}})
			}
		}
	}
	add("host", hosts, hostImages...)
	add("Docker Hub", hub, hubImages...)
	add("entry", entries, "reg.test/team/app:v1", "b.test/x")
	return all
}

// TestClientsAsTheirLibraries compares what the model says of each client with what the client's
// own library does.
func TestClientsAsTheirLibraries(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the clients' libraries, which -short does without")
	}
	all := rows(t)
	if len(all) < 150 {
		t.Fatalf("%d rows, want 150 at least", len(all))
	}
	var questions []e2eclients.Question
	for _, r := range all {
		questions = append(questions, r.Question)
	}
	answers, err := e2eclients.Ask(t.Context(), os.Stderr, questions)
	if err != nil || len(answers) != len(all) {
		t.Fatalf("%d answers to %d questions, error %v", len(answers), len(all), err)
	}
	random := map[string]int{}
	for i, r := range all {
		for _, client := range Clients {
			got, want := client.model(t, r.Question), answers[i][client.library]
			if len(want) == 0 {
				t.Fatalf("the library %s gave no answer", client.library)
			}
			if len(want) > 1 {
				random[client.library]++
			}
			if problem := differ(client, got, want); problem != "" {
				t.Errorf("%s: %s: %s\nmodel   %q\nlibrary %q\nin %s", r.name, client.Name, problem, got, want, r.Config)
			}
		}
	}
	for _, name := range []string{"kubelet", "tekton", "ggcr", "buildkit", "oras", "regclient"} {
		if random[name] == 0 {
			t.Errorf("no row shows %s at random", name)
		}
	}
	t.Logf("%d rows, random ones: %v", len(all), slices.Sorted(maps.Keys(random)))
}

// model returns the answers that are possible for a configuration as the client reads it.
func (c Client) model(t *testing.T, q e2eclients.Question) []string {
	t.Helper()
	config, err := Parse([]byte(q.Config))
	if err != nil {
		t.Fatal(err)
	}
	image, err := ParseImage(q.Image)
	if err != nil {
		t.Fatal(err)
	}
	return c.answer(config, image).texts()
}

// differ returns what is wrong with a model's answers. The order of three entries has six forms,
// of which a Go map that is small shows three: of these each must be possible.
func differ(client Client, model, library []string) string {
	for _, answer := range library {
		if !slices.Contains(model, answer) {
			return "not expected: " + answer
		}
	}
	if client.library == "kubelet" && len(model) > 2 {
		if len(library) < 3 {
			return "the library shows too few orders"
		}
		return ""
	}
	if !slices.Equal(model, library) {
		return "expected and not seen"
	}
	return ""
}

// TestParse holds that the error of a bad configuration shows nothing of it.
func TestParse(t *testing.T) {
	for _, text := range []string{"sesame", `{"auths":"sesame"}`, `{"auths":{"reg.test":{"auth":["sesame"]}}}`} {
		if _, err := Parse([]byte(text)); err == nil || bytes.Contains([]byte(err.Error()), []byte("sesame")) {
			t.Errorf("error %v of %s", err, text)
		}
	}
}
