package credentials

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tektoncd/pipeline/pkg/credentials/dockercreds"
	"github.com/tektoncd/pipeline/pkg/credentials/matcher"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/credentials/clients"
)

// docker is a file with every field that an entry may have.
const docker = `{"auths":{"a.io":{"username":"u","password":"sesame","email":"e"},"b.io":{"auth":"dTpzZXNhbWU="},
"c.io":{"identitytoken":"sesame"},"d.io":{"auth":"dTpzZXNhbWU=","identitytoken":"sesame","registrytoken":"sesame"}}}`

// TestInStepsAsTekton compares what the model says of a Secret in steps with the file that Tekton's
// own code writes.
func TestInStepsAsTekton(t *testing.T) {
	basic := newSecret("basic", "kubernetes.io/basic-auth",
		map[string][]byte{"username": []byte("u"), "password": []byte("sesame")})
	basic.SetAnnotations(map[string]string{"tekton.dev/docker-0": "https://e.io", "tekton.dev/git-0": "https://git.test"})
	tests := []struct {
		secret *unstructured.Unstructured
		flag   string
	}{
		{newSecret("json", "kubernetes.io/dockerconfigjson", map[string][]byte{".dockerconfigjson": []byte(docker)}),
			"-docker-config=json"},
		{newSecret("legacy", "kubernetes.io/dockercfg",
			map[string][]byte{".dockercfg": []byte(`{"a.io":{"auth":"dTpzZXNhbWU=","identitytoken":"sesame"}}`)}),
			"-docker-cfg=legacy"},
		{basic, "-basic-docker=basic=https://e.io"},
	}
	for _, tt := range tests {
		t.Run(tt.secret.GetName(), func(t *testing.T) {
			source, err := Source(tt.secret)
			if err != nil {
				t.Fatal(err)
			}
			written, err := clients.Parse(tektonFile(t, tt.secret, tt.flag))
			if err != nil || len(written) == 0 {
				t.Fatalf("%d entries, error %v", len(written), err)
			}
			if got := source.Config.InSteps(); !slices.Equal(got, written) {
				t.Errorf("got %v, and Tekton writes %v", got, written)
			}
		})
	}
}

// tektonFile returns the file that Tekton writes for steps.
func tektonFile(t *testing.T, secret *unstructured.Unstructured, flags string) []byte {
	t.Helper()
	matcher.VolumePath = t.TempDir()
	folder := filepath.Join(matcher.VolumePath, secret.GetName())
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	data, _, _ := unstructured.NestedMap(secret.Object, "data")
	for key := range data {
		if err := os.WriteFile(filepath.Join(folder, key), value(secret, key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set := flag.NewFlagSet("entrypoint", flag.ContinueOnError)
	dockercreds.AddFlags(set)
	if err := set.Parse([]string{flags}); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := dockercreds.NewBuilder().Write(home); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(home, ".docker", "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSourceRefuses(t *testing.T) {
	for want, secret := range map[string]*unstructured.Unstructured{
		"no registry client reads a Secret of type Opaque": newSecret("s", "Opaque",
			map[string][]byte{".dockerconfigjson": []byte(docker)}),
		"is not JSON of the form": newSecret("s", "kubernetes.io/dockerconfigjson",
			map[string][]byte{".dockerconfigjson": []byte("sesame")}),
		"the .dockercfg is not JSON": newSecret("s", "kubernetes.io/dockercfg",
			map[string][]byte{".dockercfg": []byte("sesame")}),
	} {
		if _, err := Source(secret); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "sesame") {
			t.Errorf("error %v lacks %q, or shows a password", err, want)
		}
	}
}

// TestEveryClientFinds holds that every client sends the login of a Secret of ours, for a host and
// for Docker Hub, whatever the file was like.
func TestEveryClientFinds(t *testing.T) {
	plain := `{"username":"robot","password":"sesame"}`
	for _, key := range append(slices.Clone(hubSpellings), "reg.test", "reg.test/", "https://reg.test/v2/", "http://reg.test") {
		encoded, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		r, err := FromDockerConfig([]byte(auths(string(encoded)+":"+plain)), nil, false)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := r.secret("s")
		if err != nil {
			t.Fatal(err)
		}
		source, err := Source(secret)
		if err != nil {
			t.Fatal(err)
		}
		written := "alpine:3"
		if strings.Contains(key, "reg.test") {
			written = "reg.test/team/app:v1"
		}
		image, err := clients.ParseImage(written)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range clients.Explain(source, image) {
			if e.Result != "password" || e.Why != "" || e.Sends[0].Username != "robot" {
				t.Errorf("%s: %s: %s (%s)", key, e.Client, e, e.Why)
			}
		}
	}
}
