package credentials

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/credentials/clients"
)

// written is a login as it has to be in a Secret: "user:password" by key.
type written map[string]string

// check compares the text of a Secret with the logins that are wanted.
func check(t *testing.T, r Registry, want written) {
	t.Helper()
	secret, err := r.secret("s")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Auths map[string]map[string]string }
	if err := json.Unmarshal(value(secret, ".dockerconfigjson"), &file); err != nil {
		t.Fatal(err)
	}
	got := written{}
	for key, entry := range file.Auths {
		got[key] = entry["username"] + ":" + entry["password"]
		if entry["auth"] != base64.StdEncoding.EncodeToString([]byte(got[key])) || len(entry) != 3 {
			t.Errorf("%s: %v is not username, password and the auth of both", key, entry)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// contain checks that there is one text for each that is wanted, and that none has a password.
func contain(t *testing.T, texts, want []string) {
	t.Helper()
	if len(texts) != len(want) {
		t.Fatalf("got %q, want %q", texts, want)
	}
	for i, part := range want {
		if !strings.Contains(texts[i], part) || strings.Contains(texts[i], "sesame") {
			t.Errorf("%q lacks %q, or shows a password", texts[i], part)
		}
	}
}

func auth(text string) string {
	return `{"auth":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `"}`
}

func auths(entries ...string) string { return `{"auths":{` + strings.Join(entries, ",") + `}}` }

// robot and other are two logins.
var robot, other = auth("robot:sesame"), auth("other:sesame2")

func TestFromDockerConfig(t *testing.T) {
	tests := []struct {
		name, config string
		servers      []string
		want         written
		warnings     []string
		notes        []string
	}{
		{"plain", auths(`"a.io":` + robot), nil, written{"a.io": "robot:sesame"}, nil, nil},
		{"no auth", auths(`"a.io":{"username":"robot","password":"sesame"}`), nil, written{"a.io": "robot:sesame"},
			nil, nil},
		{"an empty auth", auths(`"a.io":{"username":"robot","password":"sesame","auth":""}`), nil,
			written{"a.io": "robot:sesame"}, nil, nil},
		{"an auth that differs counts", auths(`"a.io":{"username":"x","password":"y","auth":"cm9ib3Q6c2VzYW1l"}`), nil,
			written{"a.io": "robot:sesame"}, nil, nil},
		{"no padding", auths(`"a.io":{"auth":"cm9ib3Q6c2VzYW1lMQ"}`), nil, written{"a.io": "robot:sesame1"}, nil, nil},
		{"a colon in the password", auths(`"a.io":` + auth("robot:sesame:x")), nil,
			written{"a.io": "robot:sesame:x"}, nil, nil},
		{"a line break after the password", auths(`"a.io":`+auth("robot:sesame\n"), `"b.io":`+auth("robot:sesame\r\n")), nil,
			written{"a.io": "robot:sesame", "b.io": "robot:sesame"},
			[]string{"the password of a.io ends with a line break", "the password of b.io ends with a line break"}, nil},
		{"a path beside a host", auths(`"a.io":`+robot, `"a.io/team":`+other), []string{"a.io"},
			written{"a.io": "robot:sesame"}, []string{"left out, since few clients honor keys with a path: a.io/team; pass"}, nil},
		{"only some", auths(`"a.io":`+robot, `"https://b.io/v2/":`+other), []string{"b.io"},
			written{"b.io": "other:sesame2"}, nil, []string{"https://b.io/v2/ is written as b.io"}},
		{"a trailing slash", auths(`"b.io:5000/":` + robot), nil, written{"b.io:5000": "robot:sesame"}, nil,
			[]string{"b.io:5000/ is written as b.io:5000"}},
		{"one login, two spellings", auths(`"b.io":`+robot, `"https://b.io":`+robot), nil,
			written{"b.io": "robot:sesame"}, nil, nil},
		{"two logins, two spellings", auths(`"b.io":`+robot, `"https://b.io":`+other), nil,
			written{"b.io": "robot:sesame"}, []string{"that of b.io (user robot) is written, that of https://b.io (user other)"},
			nil},
		{"the other spelling is asked for", auths(`"b.io":`+robot, `"https://b.io":`+other), []string{"https://b.io"},
			written{"b.io": "other:sesame2"}, []string{"that of https://b.io (user other) is written"},
			[]string{"https://b.io is written as b.io"}},
		{"the spelling that has a password", auths(`"b.io":{}`, `"https://b.io":`+other), nil,
			written{"b.io": "other:sesame2"}, nil, []string{"is written as b.io"}},
		{"two logins for Docker Hub", auths(`"docker.io":`+other, `"https://index.docker.io/v1/":`+robot), nil,
			written{clients.DockerHub: "robot:sesame"}, []string{
				"different logins for Docker Hub: that of https://index.docker.io/v1/ (user robot) is written, that of docker.io"},
			nil},
		{"the other for Docker Hub", auths(`"docker.io":`+other, `"https://index.docker.io/v1/":`+robot),
			[]string{"docker.io"}, written{clients.DockerHub: "other:sesame2"},
			[]string{"different logins for Docker Hub"},
			[]string{"docker.io is written as https://index.docker.io/v1/"}},
		{"paths are left out", auths(`"a.io":`+robot, `"a.io/team":`+other, `"https://a.io/x/":`+other), nil,
			written{"a.io": "robot:sesame"}, []string{"keys with a path: a.io/team, https://a.io/x/; pass --path-keys"}, nil},
		{"of other hosts nothing is said", auths(`"a.io":`+robot, `"b.io/team":`+other), []string{"a.io"},
			written{"a.io": "robot:sesame"}, nil, nil},
		{"a wildcard", auths(`"*.a.io":` + robot), nil, written{"*.a.io": "robot:sesame"},
			[]string{"read the wildcard in *.a.io"}, nil},
		{"capitals", auths(`"A.io":` + robot), nil, written{"A.io": "robot:sesame"}, []string{"A.io counts only for images"},
			nil},
		{"a key that is none", auths(`"a.io":`+robot, `"https://u:sesame@b.io":`+other), nil,
			written{"a.io": "robot:sesame"}, []string{`the entry "https://b.io" is left out`}, nil},
		{"a token beside a login", auths(`"a.io":{"auth":"cm9ib3Q6c2VzYW1l","identitytoken":"sesame"}`), nil,
			written{"a.io": "robot:sesame"}, []string{"the token of a.io is left out"}, nil},
		{"what Tekton drops",
			`{"auths":{"a.io":` + robot + `},"credHelpers":{"c.io":"x"},"credsStore":"y","HttpHeaders":{},"proxies":{}}`, nil,
			written{"a.io": "robot:sesame"}, []string{"credHelpers of", "credsStore of", "HttpHeaders of", "proxies of"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := FromDockerConfig([]byte(tt.config), tt.servers, false)
			if err != nil {
				t.Fatal(err)
			}
			check(t, r, tt.want)
			contain(t, r.Warnings(), tt.warnings)
			contain(t, r.Notes(), tt.notes)
		})
	}
}

// hubSpellings are what files and users write for Docker Hub.
var hubSpellings = []string{
	"docker.io", "https://docker.io", "https://docker.io/", "http://docker.io", "index.docker.io", "https://index.docker.io",
	"index.docker.io/v1/", "index.docker.io/v1", "https://index.docker.io/v1", "https://index.docker.io/v1/",
	"https://index.docker.io/v2/", "registry-1.docker.io", "https://registry-1.docker.io", "registry-1.docker.io/",
	"https://registry-1.docker.io/v2/", "Docker.io", "HTTPS://docker.io",
}

// TestDockerHub holds that there is one key for Docker Hub, whatever is written for it.
func TestDockerHub(t *testing.T) {
	for _, spelling := range hubSpellings {
		r, err := FromDockerConfig([]byte(auths(fmt.Sprintf("%q:%s", spelling, robot))), nil, false)
		if err != nil {
			t.Errorf("%s in a file: %v", spelling, err)
			continue
		}
		check(t, r, written{clients.DockerHub: "robot:sesame"})
		if r, err = Login(spelling, "robot", []byte("sesame"), false); err != nil {
			t.Errorf("--server %s: %v", spelling, err)
			continue
		}
		check(t, r, written{clients.DockerHub: "robot:sesame"})
		if spelling != clients.DockerHub {
			contain(t, r.Notes(), []string{spelling + " is written as " + clients.DockerHub})
		}
		file := auths(`"docker.io":`+robot, `"a.io":`+robot)
		if r, err = FromDockerConfig([]byte(file), []string{spelling}, false); err != nil {
			t.Errorf("--server %s of a file: %v", spelling, err)
			continue
		}
		check(t, r, written{clients.DockerHub: "robot:sesame"})
	}
}

func TestFromDockerConfigRefuses(t *testing.T) {
	tests := []struct {
		name, config string
		servers      []string
		want         string
	}{
		{"nothing for it", auths(`"a.io":` + robot), []string{"c.io"}, "holds nothing for c.io"},
		{"a store", `{"auths":{"a.io":{}},"credsStore":"desktop"}`, nil,
			"holds no password for a.io; it is in the credential store of its machine, where docker-credential-desktop reads"},
		{"a helper", `{"auths":{"a.io":{}},"credsStore":"desktop","credHelpers":{"a.io":"gcloud"}}`, nil,
			"docker-credential-gcloud"},
		{"a helper alone", `{"auths":{},"credHelpers":{"a.io":"gcloud"}}`, []string{"a.io"}, "docker-credential-gcloud"},
		{"no store", auths(`"a.io":{}`), nil, "holds no password for a.io: pass --server"},
		{"an identity token", auths(`"a.io":{"identitytoken":"sesame"}`), nil, "holds only a token for a.io"},
		{"a user and an identity token", auths(`"a.io":{"auth":"cm9ib3Q6","identitytoken":"sesame"}`), nil,
			"holds only a token for a.io"},
		{"a registry token", auths(`"a.io":{"registrytoken":"sesame"}`), nil, "holds only a token for a.io"},
		{"an auth that is none", auths(`"a.io":{"auth":"sesame!"}`), nil, "the auth of a.io is not user:password in base64"},
		{"an auth without a colon", auths(`"a.io":` + auth("sesame")), nil, "the auth of a.io is not user:password"},
		{"a colon in the user", auths(`"a.io":{"username":"a:b","password":"sesame"}`), nil, "contains a colon"},
		{"paths alone", auths(`"a.io/team":` + robot), nil,
			"has only keys with a path, which few clients honor: a.io/team; log in to the host itself, or pass --path-keys"},
		{"paths alone for a server", auths(`"a.io/team":`+robot, `"https://a.io/v2/x":`+robot, `"b.io":`+robot),
			[]string{"b.io", "a.io"}, "has only keys with a path for a.io, which few clients honor: a.io/team, https://a.io/v2/x; log in"},
		{"a line break alone", auths(`"a.io":` + auth("robot:\n")), nil, "holds no password for a.io"},
		{"a path", auths(`"a.io/team":` + robot), []string{"a.io/team"}, "--server a.io/team has a path"},
		{"a server that is none", auths(`"a.io":` + robot), []string{"https://u:sesame@a.io"}, `--server "https://a.io": it is not`},
		{"empty", `{}`, nil, "holds no registry's password"},
		{"not JSON", `sesame`, nil, "is not JSON"},
		{"odd types", `{"auths":["sesame"]}`, nil, "is not JSON"},
		{"odd helpers", `{"auths":{},"credHelpers":"sesame"}`, nil, "credsStore or credHelpers"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := FromDockerConfig([]byte(tt.config), tt.servers, false)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "sesame") {
				t.Errorf("error %v lacks %q, or shows a password", err, tt.want)
			}
		})
	}
}

func TestPathKeys(t *testing.T) {
	file := []byte(auths(`"a.io":`+robot, `"https://a.io/v2/team/":`+other, `"docker.io/team":`+other, `"b.io/x":`+robot))
	r, err := FromDockerConfig(file, []string{"a.io", "docker.io"}, true)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r, written{"a.io": "robot:sesame", "a.io/team": "other:sesame2", "docker.io/team": "other:sesame2"})
	if got := r.PathKeys(); !slices.Equal(got, []string{"a.io/team", "docker.io/team"}) {
		t.Errorf("path keys %q", got)
	}
	if r, err = FromDockerConfig(file, []string{"a.io/team"}, true); err != nil {
		t.Fatal(err)
	}
	check(t, r, written{"a.io/team": "other:sesame2"})
	if r, err = Login("https://a.io/team/", "robot", []byte("sesame"), true); err != nil {
		t.Fatal(err)
	}
	check(t, r, written{"a.io/team": "robot:sesame"})
}

func TestLoginRefuses(t *testing.T) {
	for server, want := range map[string]string{
		"a.io/team":               "has a path, which few clients honor: name the host, a.io, or pass --path-keys",
		"https://a.io:5000/team/": "name the host, a.io:5000,", "robot@a.io": "is not the host of a registry",
		"https://a.io?x": "is not the host of a registry", "ftp://a.io": "is not the host of a registry",
		"a b": "is not the host of a registry", "": "have to be named",
	} {
		_, err := Login(server, "robot", []byte("sesame"), false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--server %q: error %v lacks %q", server, err, want)
		}
	}
	_, err := Login("a.io", "ro:bot", []byte("sesame"), false)
	if err == nil || !strings.Contains(err.Error(), "a colon") {
		t.Errorf("error %v", err)
	}
}
