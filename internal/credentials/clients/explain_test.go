package clients

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// said returns what is explained about one client, with its reason and remedy.
func said(t *testing.T, entries map[string]fields, image, client string) Explanation {
	t.Helper()
	return saidOf(t, Source{Config: config(t, entries)}, image, client)
}

func saidOf(t *testing.T, source Source, image, client string) Explanation {
	t.Helper()
	parsed, err := ParseImage(image)
	if err != nil {
		t.Fatal(err)
	}
	all := Explain(source, parsed)
	i := slices.IndexFunc(all, func(e Explanation) bool { return strings.HasPrefix(e.Client, client) })
	if i < 0 {
		t.Fatalf("no client is called %s", client)
	}
	return all[i]
}

func TestExplain(t *testing.T) {
	const app = "reg.test/team/app:v1"
	plain := fields{"username": "u1", "password": "p1"}
	tests := []struct {
		name    string
		entries map[string]fields
		image   string
		client  string
		sends   string
		result  string
		why     string // begins the reason; empty for none
	}{
		{"as expected", keys("reg.test"), app, "regctl", "reg.test (user u1)", "password", ""},
		{"path, as expected", keys("reg.test", "reg.test/team"), app, "buildah", "reg.test/team (user u2)", "password", ""},
		{"the longest first", keys("reg.test", "reg.test/team"), app, "kubelet",
			"reg.test/team (user u2), then reg.test (user u1)", "password", ""},
		{"the first alone", keys("reg.test", "reg.test/team"), app, "Tekton", "reg.test/team (user u2)", "password",
			"the kubelet tries further keys"},
		{"a host for a path", keys("reg.test", "reg.test/team"), app, "oras", "reg.test (user u1)", "password",
			"reg.test/team is more specific"},
		{"another repository's path", keys("reg.test/team/app"), "reg.test/team/appendix", "Tekton",
			"reg.test/team/app (user u1)", "password", "reg.test/team/app is for other repositories"},
		{"another repository's path", keys("reg.test/team"), "reg.test/other", "ko", "reg.test/team (user u1)", "password",
			"reg.test/team is for other repositories"},
		{"at random", keys("reg.test/a", "reg.test/b"), app, "Kaniko",
			"one of reg.test/a (user u1), reg.test/b (user u2) at random", "random", "there is no key for reg.test itself"},
		{"two spellings", keys("https://reg.test", "http://reg.test"), app, "BuildKit",
			"one of http://reg.test (user u2), https://reg.test (user u1) at random", "random", "several keys name this host"},
		{"two spellings, both sent", keys("https://reg.test", "http://reg.test"), app, "kubelet",
			"http://reg.test (user u2) and https://reg.test (user u1) in random order", "password", ""},
		{"a line break after the password", map[string]fields{"reg.test": {"auth": auth("u1:p1\n")}}, app, "oras",
			"reg.test (user u1)", "password", "the password of reg.test ends with a line break"},
		{"dropped path", keys("reg.test/team"), app, "regctl", "nothing (anonymous)", "anonymous", "reg.test/team has a path"},
		{"spelling of Docker Hub", keys("docker.io"), "alpine", "oras", "nothing (anonymous)", "anonymous",
			"it does not look for the key docker.io, but for https://index.docker.io/v1/"},
		{"no auth", map[string]fields{"reg.test": plain}, app, "buildah", "nothing (anonymous)", "anonymous",
			"it reads only auth"},
		{"no auth hides the host", map[string]fields{"reg.test/team": plain, "reg.test": login(2)}, app, "buildah",
			"nothing (anonymous)", "anonymous", "it reads only auth, which the entry of reg.test/team lacks"},
		{"identity token", map[string]fields{"reg.test": {"identitytoken": "i1"}}, app, "kubelet", "nothing (anonymous)",
			"anonymous", "reg.test has only a token, which the kubelet does not read"},
		{"identity token", map[string]fields{"reg.test": {"identitytoken": "i1"}}, app, "Tekton", "reg.test (token)",
			"token", ""},
		{"identity token in a step", map[string]fields{"reg.test": {"identitytoken": "i1"}}, app, "oras",
			"nothing (anonymous)", "anonymous", "reg.test has only a token, which Tekton leaves out"},
		{"a user alone", map[string]fields{"reg.test": {"auth": auth("p1:")}}, app, "ko",
			"reg.test (a user without a password)", "password", "reg.test has no password"},
		{"wildcard", keys("*.test"), app, "ko", "nothing (anonymous)", "anonymous", "only the kubelet and Tekton's controller"},
		{"capitals", keys("REG.test"), app, "kubelet", "nothing (anonymous)", "anonymous", "the capitals of REG.test"},
		{"port", keys("reg.test:443"), app, "kubelet", "nothing (anonymous)", "anonymous", "the port is part of the key"},
		{"bad auth elsewhere", map[string]fields{"reg.test": login(1), "b.test": {"auth": "p!"}}, app, "Kaniko", "an error",
			"error", "one entry stops it for every image. b.test: its auth is not user:password in base64"},
		{"bad auth", map[string]fields{"reg.test": {"auth": "p!"}}, app, "oras", "an error", "error",
			"reg.test: its auth is not user:password in base64"},
		{"bad auth of no concern", map[string]fields{"reg.test": login(1), "b.test": {"auth": "p!"}}, app, "oras",
			"reg.test (user u1)", "password", ""},
		{"a reference that it refuses", keys("Reg"), "Reg/app", "Kaniko", "an error", "error",
			"go-containerregistry does not accept this reference"},
		{"a password in a key", map[string]fields{"https://u:p1@reg.test": login(1)}, app, "kubelet",
			"https://reg.test (user u1)", "password", ""},
		{"nothing for it", keys("b.test"), app, "kubelet", "nothing (anonymous)", "anonymous", "no entry is for reg.test"},
	}
	for _, tt := range tests {
		t.Run(tt.name+", "+tt.client, func(t *testing.T) {
			e := said(t, tt.entries, tt.image, tt.client)
			if e.String() != tt.sends || e.Result != tt.result {
				t.Errorf("got %s: %s, want %s: %s", e.Result, e, tt.result, tt.sends)
			}
			if tt.why == "" && e.Why != "" || !strings.HasPrefix(e.Why, tt.why) {
				t.Errorf("why: %q, want %q", e.Why, tt.why)
			}
		})
	}
}

// TestExplainStepsOnly holds that Secrets of type basic-auth are shown as steps alone read them.
func TestExplainStepsOnly(t *testing.T) {
	source := Source{Config: config(t, keys("reg.test")), StepsOnly: true}
	e := saidOf(t, source, "reg.test/app", "kubelet")
	if e.Result != "anonymous" || !strings.Contains(e.Why, "basic-auth") {
		t.Errorf("kubelet: %s, %s", e, e.Why)
	}
	if e := saidOf(t, source, "reg.test/app", "oras"); e.String() != "reg.test (user u1)" {
		t.Errorf("oras: %s", e)
	}
}

// TestExplainShowsNoSecret explains every configuration and image of the other tests.
func TestExplainShowsNoSecret(t *testing.T) {
	secrets := []string{"p1", "p2", "p3", "i1", "i2", "r1", "p:1"}
	for _, r := range rows(t) {
		config, err := Parse([]byte(r.Config))
		if err != nil {
			t.Fatal(err)
		}
		image, err := ParseImage(r.Image)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range Explain(Source{Config: config}, image) {
			text, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			shown := string(text) + e.String()
			for _, secret := range secrets {
				if strings.Contains(shown, secret) || strings.Contains(shown, auth("u1:"+secret)) {
					t.Errorf("%s: %s shows %s: %s", r.name, e.Client, secret, shown)
				}
			}
			if e.Result == "anonymous" && e.Why == "" {
				t.Errorf("%s: %s sends nothing, and no reason is given", r.name, e.Client)
			}
		}
	}
}

func TestParseKey(t *testing.T) {
	for written, want := range map[string]string{
		"reg.test": "reg.test", "reg.test/": "reg.test", "https://reg.test/v2/": "reg.test", "https://reg.test/v1": "reg.test",
		"reg.test/v2/": "reg.test", "reg.test/v2": "reg.test/v2", "reg.test:5000/team/": "reg.test:5000/team",
		"https://reg.test/v2/team": "reg.test/team", "docker.io/team": "docker.io/team", "index.docker.io/v1": DockerHub,
		"[::1]:5000": "[::1]:5000", "": "!", "https://": "!", "a b": "!", "u@reg.test": "!", "oci://reg.test": "!",
	} {
		key, err := ParseKey(written)
		if got := key.String(); err != nil && want != "!" || err == nil && got != want {
			t.Errorf("%q: got %q and error %v, want %q", written, got, err, want)
		}
	}
}

// TestWithoutSecrets holds that what clients make of a configuration stays the same without its
// passwords and tokens, also of entries that only some can read.
func TestWithoutSecrets(t *testing.T) {
	const secret = "s3cr3ts3cr3t"
	padded := base64.StdEncoding.EncodeToString([]byte("user:" + secret))
	all := Config{
		{Key: "a.test", Auth: padded, Username: "user", Password: secret},
		{Key: "b.test", Auth: strings.TrimRight(padded, "=")},
		{Key: "c.test", Username: "user", Password: secret},
		{Key: "d.test", Auth: "%%%" + secret},
		{Key: "e.test", IdentityToken: secret},
		{Key: "f.test", RegistryToken: secret},
		{Key: "g.test", Auth: base64.StdEncoding.EncodeToString([]byte(secret))},
		{Key: "h.test/path", Auth: padded},
	}
	clean := all.WithoutSecrets()
	if text := fmt.Sprint(clean); strings.Contains(text, secret) || strings.Contains(text, padded) {
		t.Errorf("a secret is left in %s", text)
	}
	for _, entry := range clean {
		decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
		if err == nil && strings.Contains(string(decoded), secret) {
			t.Errorf("a secret is left in the auth of %s", entry.Key)
		}
	}
	for _, entry := range all {
		image, err := ParseImage(entry.Key + "/x")
		if err != nil {
			t.Fatal(err)
		}
		before, after := Explain(Source{Config: all}, image), Explain(Source{Config: clean}, image)
		for i := range before {
			if before[i].Result != after[i].Result || before[i].Why != after[i].Why {
				t.Errorf("%s, %s: %s (%s) before, %s (%s) without secrets", entry.Key, before[i].Client,
					before[i].Result, before[i].Why, after[i].Result, after[i].Why)
			}
		}
	}
}
