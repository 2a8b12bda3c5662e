package credentials

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// teller runs `tekgate credentials`, and fails the test where anything that it
// says holds a secret.
type teller struct {
	*clitest.Site
	folder  string
	secrets []string
}

func (s *teller) file(name, text string) string {
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.T.Fatal(err)
	}
	return path
}

func (s *teller) credentials(in string, args ...string) (out, errOut string, err error) {
	s.T.Helper()
	out, errOut, err = program.Run(s.T, in, append(append([]string{"credentials"}, args...), s.Kubeconfig...)...)
	said := out + errOut
	if err != nil {
		said += err.Error()
	}
	for _, secret := range s.secrets {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)),
			base64.RawStdEncoding.EncodeToString([]byte("robot:" + secret))[:16]} {
			if strings.Contains(said, form) {
				s.T.Errorf("tekgate credentials %s says a secret:\n%s", strings.Join(args, " "), said)
			}
		}
	}
	return out, errOut, err
}

func (s *teller) well(in string, args ...string) (out, errOut string) {
	s.T.Helper()
	out, errOut, err := s.credentials(in, args...)
	if err != nil {
		s.T.Fatalf("tekgate credentials %s: %v\n%s", strings.Join(args, " "), err, errOut)
	}
	return out, errOut
}

func (s *teller) get(kind, namespace, name string, path ...string) any {
	s.T.Helper()
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion("v1")
	if kind == "Deployment" {
		obj.SetAPIVersion("apps/v1")
	}
	obj.SetKind(kind)
	if err := s.Client.Get(s.T.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		s.T.Fatal(err)
	}
	value, _, err := unstructured.NestedFieldCopy(obj.Object, path...)
	if err != nil {
		s.T.Fatal(err)
	}
	return value
}

// names returns the names in a list of references.
func names(list any) string {
	var all []string
	items, _ := list.([]any)
	for _, item := range items {
		all = append(all, item.(map[string]any)["name"].(string))
	}
	return strings.Join(all, " ")
}

func (s *teller) equal(got any, want string) {
	s.T.Helper()
	if got != want {
		s.T.Errorf("got %v, want %s", got, want)
	}
}

func sshPrivateKey(t *testing.T) string {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

const (
	password  = "open-sesame-2718"
	ciObjects = `
apiVersion: v1
kind: Namespace
metadata: {name: ci}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, namespace: ci}
secrets: [{name: of-somebody}]
imagePullSecrets: [{name: pulls-of-somebody}]
---
apiVersion: v1
kind: Secret
metadata: {name: of-somebody, namespace: ci, annotations: {tekton.dev/git-0: 'https://old.example.com'}}
`
)

// TestCredentials shares one API server between the tests. Tekton is installed by the last.
func TestCredentials(t *testing.T) {
	s := newTeller(t)
	t.Run("git", s.testGit)
	t.Run("refuse", s.testRefuse)
	t.Run("git hosts", s.testGitHosts)
	t.Run("registry", s.testRegistry)
	t.Run("explain", s.testExplain)
	t.Run("Trap30And31_PullSecretsAndCAsReachWhoPulls", s.testPull)
}

// as returns the teller for another test.
func (s *teller) as(t *testing.T) *teller {
	return &teller{Site: s.As(t), folder: s.folder, secrets: s.secrets}
}

func newTeller(t *testing.T) *teller {
	s := &teller{Site: newSite(t), folder: t.TempDir(), secrets: []string{password}}
	s.Create(ciObjects)
	return s
}

func (s *teller) testGit(t *testing.T) {
	s = s.as(t)
	key := sshPrivateKey(t)
	s.secrets = append(s.secrets, strings.Split(key, "\n")[1])
	builder := []string{"-n", "ci", "--service-account", "builder"}

	// A dry run shows what would be, masked, and writes nothing.
	args := append(
		[]string{"git", "gitee", "--host", "gitee.com", "--ssh-key", s.file("key", key), "--known-hosts",
			s.file("hosts", "gitee.com ssh-ed25519 AAAA")}, builder...)
	out, errOut := s.well("", append(args, "--dry-run")...)
	if !strings.Contains(strings.ReplaceAll(out, "'", `"`), `ssh-privatekey: "***"`) ||
		!strings.Contains(errOut, "Secret/ci/gitee would be created") ||
		!strings.Contains(out, "tekton.dev/git-1: gitee.com") {
		t.Errorf("dry run:\n%s%s", out, errOut)
	}
	s.Expect(false, "v1 Secret ci/gitee")
	s.equal(names(s.get("ServiceAccount", "ci", "builder", "secrets")), "of-somebody")

	out, errOut = s.well("", args...)
	if out != "" || !strings.Contains(errOut, "Secret/ci/gitee created") ||
		!strings.Contains(errOut, "ServiceAccount/ci/builder configured") {
		t.Errorf("out %q, errOut %q", out, errOut)
	}
	s.equal(s.get("Secret", "ci", "gitee", "type"), "kubernetes.io/ssh-auth")
	s.equal(s.get("Secret", "ci", "gitee", "metadata", "annotations", "tekton.dev/git-1"), "gitee.com")
	s.equal(s.get("Secret", "ci", "gitee", "data", "ssh-privatekey"), base64.StdEncoding.EncodeToString([]byte(key)))
	s.equal(names(s.get("ServiceAccount", "ci", "builder", "secrets")), "of-somebody gitee")

	// Twice changes nothing; another host is added.
	_, errOut = s.well("", args...)
	if !strings.Contains(errOut, "Secret/ci/gitee unchanged") ||
		!strings.Contains(errOut, "ServiceAccount/ci/builder unchanged") {
		t.Errorf("a second time: %s", errOut)
	}
	args[3] = "git.example.com:2222"
	s.well("", args...)
	s.equal(s.get("Secret", "ci", "gitee", "metadata", "annotations", "tekton.dev/git-1"), "gitee.com")
	s.equal(s.get("Secret", "ci", "gitee", "metadata", "annotations", "tekton.dev/git-2"), "git.example.com:2222")

	// A password from standard input; the ServiceAccount is made.
	_, errOut = s.well(password+"\n", "git", "github", "--host", "github.com", "--username", "robot", "--password-file",
		"-", "-n", "ci", "--service-account", "fresh")
	if !strings.Contains(errOut, "ServiceAccount/ci/fresh created") {
		t.Error(errOut)
	}
	s.equal(s.get("Secret", "ci", "github", "data", "password"), base64.StdEncoding.EncodeToString([]byte(password)))
	s.equal(s.get("Secret", "ci", "github", "metadata", "annotations", "tekton.dev/git-0"), "https://github.com")
}

func (s *teller) testRefuse(t *testing.T) {
	s = s.as(t)
	secret := s.file("password", password)
	tests := []struct {
		name, in, want string
		args           []string
	}{
		{"somebody else's Secret", "", "is not of `tekgate credentials`: choose another name",
			[]string{"git", "of-somebody", "--host", "a.com", "--username", "robot", "--password-file", secret, "-n",
				"ci"}},
		{"no namespace", "", `namespaces "nowhere" not found`,
			[]string{"git", "x", "--host", "a.com", "--username", "robot", "--password-file", secret, "-n", "nowhere"}},
		{"no host", "", "no host is named", []string{"git", "x", "--username", "robot", "--password-file", secret}},
		{"key and user", "", "name either a key with --ssh-key or a user with --username",
			[]string{"git", "x", "--host", "a.com"}},
		{"a group", "", "name the host, https://a.com, or the URL of each whole repository, such as " +
			"https://a.com/group/REPOSITORY.git",
			[]string{"git", "x", "--host", "https://a.com/group/", "--username", "robot", "--password-file", secret}},
		{"a group for SSH", "", "a key is for a whole server: name its host and, if need be, its port, such as a.com",
			[]string{"git", "x", "--host", "git@a.com:group", "--ssh-key", s.file("key", sshPrivateKey(t))}},
		{"a path in a registry", "", "name the host, a.io, or pass --path-keys",
			[]string{"registry", "x", "--server", "a.io/team", "--username", "robot", "--password-file", secret}},
		{"nothing to explain", "", "pass either --secret or --docker-config", []string{"explain", "--image", "a.io/x"}},
		{"no image", "", "no image: pass --image", []string{"explain", "--secret", "x"}},
		{"no Secret", "", "reading Secret ci/nothing: it does not exist",
			[]string{"explain", "--secret", "nothing", "-n", "ci", "--image", "a.io/x"}},
		{"a Secret that no client reads", "", "no registry client reads a Secret of type Opaque",
			[]string{"explain", "--secret", "of-somebody", "-n", "ci", "--image", "a.io/x"}},
		{"an image that is none", "", `parsing --image "A b"`, []string{"explain", "--secret", "x", "--image", "A b"}},
		{"an output that is none", "", `--output "xml" is not known`,
			[]string{"explain", "--secret", "x", "--image", "a.io/x", "-o", "xml"}},
		{"password in the URL", "", "leave user and password out",
			[]string{"git", "x", "--host", "https://robot:" + password + "@a.com", "--username", "robot",
				"--password-file", secret}},
		{"a password as a key", password, "is not a private key in PEM",
			[]string{"git", "x", "--host", "a.com", "--ssh-key", "-"}},
		{"no terminal", "", "there is no terminal to ask for the password on",
			[]string{"registry", "x", "--server", "a.io", "--username", "robot"}},
		{"an empty password", "\n", "it is empty",
			[]string{"registry", "x", "--server", "a.io", "--username", "robot", "--password-file", "-"}},
		{"no file", "", "no such file", []string{"registry", "x", "--docker-config", "/no/such"}},
		{"a password as a Docker configuration", password, "is not JSON",
			[]string{"registry", "x", "--docker-config", "-"}},
		{"nowhere to pull to", "", "neither Tekton nor Tekgate is installed",
			[]string{"pull", "x", "--server", "a.io", "--username", "robot", "--password-file", secret}},
		{"no Tekton to trust", clitest.AuthorityPEM(t), "it does not exist: install Tekton first", []string{"ca", "-"}},
		{"a bad name", "", "writing Secret default/UPPER",
			[]string{"registry", "UPPER", "--server", "a.io", "--username", "robot", "--password-file", secret}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inner := s.as(t)
			if _, _, err := inner.credentials(tt.in, tt.args...); err == nil ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

// testGitHosts holds that URLs that take passwords from one another are refused or named.
func (s *teller) testGitHosts(t *testing.T) {
	s = s.as(t)
	secret := s.file("password", password)
	git := func(name, host string) []string {
		return []string{"git", name, "--host", host, "--username", "robot", "--password-file", secret, "-n", "ci",
			"--service-account", "git-hosts"}
	}
	s.well("", git("repository", "https://h.test/team/app.git")...)
	_, errOut := s.well("", git("host", "https://h.test")...)
	if !strings.Contains(errOut, "https://h.test/team/app.git of Secret ci/repository is not used, since Secret host") {
		t.Error(errOut)
	}
	_, _, err := s.credentials("", git("again", "https://h.test")...)
	if err == nil || !strings.Contains(err.Error(), "adding https://h.test: Secret ci/host of the ServiceAccount has it already") {
		t.Errorf("error %v", err)
	}
	s.Expect(false, "v1 Secret ci/again")
	// What others wrote, or an earlier version of this command.
	s.Patch("v1 Secret ci/repository", `{"metadata":{"annotations":{"tekton.dev/git-0":"https://h.test/team"}}}`)
	_, errOut = s.well("", git("host", "https://h.test")...)
	if !strings.Contains(errOut, "https://h.test/team of Secret ci/repository is a group's URL") ||
		!strings.Contains(errOut, "run `kubectl -n ci annotate secret repository tekton.dev/git-0-`") {
		t.Error(errOut)
	}
}

// testRegistry holds that a Secret has the form that every client reads, whatever the file has.
func (s *teller) testRegistry(t *testing.T) {
	s = s.as(t)
	login := fmt.Sprintf(`{"username":"robot","password":%q}`, password)
	config := s.file("config.json", fmt.Sprintf(`{"auths":{"reg.test:5000":%s,"reg.test:5000/org-a":%[1]s,"docker.io":%[1]s}}`,
		login))
	args := []string{"registry", "one-form", "--docker-config", config, "-n", "ci", "--service-account", "one-form"}
	_, errOut := s.well("", args...)
	if !strings.Contains(errOut, "left out, since few clients honor keys with a path: reg.test:5000/org-a;") ||
		!strings.Contains(errOut, "note: docker.io is written as https://index.docker.io/v1/") {
		t.Error(errOut)
	}
	s.equal(s.dockerConfig("one-form"), "https://index.docker.io/v1/ reg.test:5000")
	_, errOut = s.well("", append(args, "--path-keys")...)
	if !strings.Contains(errOut, "how clients honor keys with a path, such as reg.test:5000/org-a:") ||
		!strings.Contains(errOut, "regctl                                  never: such keys are dropped") {
		t.Error(errOut)
	}
	s.equal(s.dockerConfig("one-form"), "https://index.docker.io/v1/ reg.test:5000 reg.test:5000/org-a")
	s.well("", append(args[:2:2], "--server", "https://docker.io", "--username", "robot", "--password-file",
		s.file("password", password), "-n", "ci")...)
	s.equal(s.dockerConfig("one-form"), "https://index.docker.io/v1/")
}

// dockerConfig returns the keys of a Secret, each of which has to have auth.
func (s *teller) dockerConfig(name string) string {
	s.T.Helper()
	text, err := base64.StdEncoding.DecodeString(s.get("Secret", "ci", name, "data", ".dockerconfigjson").(string))
	if err != nil {
		s.T.Fatal(err)
	}
	var file struct {
		Auths map[string]struct{ Auth string }
	}
	if err := json.Unmarshal(text, &file); err != nil {
		s.T.Fatal(err)
	}
	for key, entry := range file.Auths {
		if entry.Auth != base64.StdEncoding.EncodeToString([]byte("robot:"+password)) {
			s.T.Errorf("%s has another auth, or none", key)
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(file.Auths)), " ")
}

func (s *teller) testExplain(t *testing.T) {
	s = s.as(t)
	auth := base64.StdEncoding.EncodeToString([]byte("robot:" + password))
	config := fmt.Sprintf(`{"auths":{"docker.io":{"username":"robot","password":%q},"reg.test/a":{"auth":%q},
"reg.test/b":{"auth":%q}},"credsStore":"desktop"}`, password, auth, auth)
	s.Create(fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: by-hand, namespace: ci}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: %s}
`, base64.StdEncoding.EncodeToString([]byte(config))))
	ofSecret, _ := s.well("", "explain", "--secret", "by-hand", "-n", "ci", "--image", "alpine:3")
	for _, want := range []string{
		"alpine:3 with Secret ci/by-hand",
		"kubelet                                 docker.io (user robot)\n",
		"Kaniko (chainguard, osscontainertools)  nothing (anonymous) [1]\n",
		"buildah, podman, skopeo                 nothing (anonymous) [2]\n",
		"[1] it does not look for the key docker.io, but for https://index.docker.io/v1/. Remedy: write the Secret with",
		"[2] it reads only auth, which the entry of docker.io lacks. Remedy: ",
	} {
		if !strings.Contains(ofSecret, want) {
			t.Errorf("lacks %q:\n%s", want, ofSecret)
		}
	}
	out, errOut := s.well(config, "explain", "--docker-config", "-", "--image", "reg.test/c/d", "-o", "json")
	var result explanation
	if err := json.Unmarshal([]byte(out), &result); err != nil || len(result.Clients) != 8 ||
		result.Clients[3].Result != "random" || len(result.Clients[3].Sends) != 2 ||
		result.Clients[3].Sends[0].Key != "reg.test/a" {
		t.Errorf("error %v in %s", err, out)
	}
	if !strings.Contains(errOut, "credsStore of the Docker configuration is left out") {
		t.Error(errOut)
	}
	asYAML, _ := s.well(config, "explain", "--docker-config", "-", "--image", "reg.test/c/d", "-o", "yaml")
	if converted, err := yaml.YAMLToJSON([]byte(asYAML)); err != nil || !sameJSON(t, converted, []byte(out)) {
		t.Errorf("error %v in\n%s", err, asYAML)
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var first, second any
	if err := errors.Join(json.Unmarshal(a, &first), json.Unmarshal(b, &second)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(first, second)
}

func (s *teller) testPull(t *testing.T) {
	s = s.as(t)
	s.Install()
	s.Create(`
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: listener, namespace: ci}
spec: {serviceAccountName: builder, triggers: []}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: listener, namespace: default}
spec: {triggers: []}
`)
	s.Patch("v1 ConfigMap tekton-pipelines/config-defaults",
		`{"data":{"default-pod-template":"nodeSelector: {a: b}\n"}}`)
	args := []string{"pull", "mirror", "--server", "registry.example.com", "--username", "robot", "--password-file",
		s.file("password", password), "-n", "ci"}
	for range 2 {
		_, errOut := s.well("", args...)
		if !strings.Contains(errOut, "EventListeners in namespace default pull from the mirror too") {
			t.Error(errOut)
		}
		s.equal(names(s.get("ServiceAccount", "tekton-pipelines", "tekton-pipelines-controller", "imagePullSecrets")),
			"mirror")
		s.equal(names(s.get("ServiceAccount", "tekton-pipelines", "tekton-triggers-controller", "imagePullSecrets")),
			"mirror")
		s.equal(names(
			s.get("ServiceAccount", "tekton-pipelines-resolvers", "tekton-pipelines-resolvers", "imagePullSecrets")),
			"mirror")
		s.equal(names(s.get("ServiceAccount", "tekgate", "tekgate-webhook", "imagePullSecrets")), "mirror")
		s.equal(names(s.get("ServiceAccount", "ci", "builder", "imagePullSecrets")), "pulls-of-somebody mirror")
		s.equal(names(s.get("ServiceAccount", "ci", "default", "imagePullSecrets")), "mirror")
		s.equal(s.get("ConfigMap", "tekton-pipelines", "config-defaults", "data", "default-pod-template"),
			"imagePullSecrets:\n- name: mirror\nnodeSelector:\n  a: b\n")
	}
	s.Expect(true, "v1 Secret tekgate/mirror", "v1 Secret ci/mirror")
	s.Expect(false, "v1 Secret default/mirror")
	// Installing again takes none of it away.
	s.Install()
	s.equal(names(s.get("ServiceAccount", "tekgate", "tekgate-webhook", "imagePullSecrets")), "mirror")
	s.equal(s.get("ConfigMap", "tekton-pipelines", "config-defaults", "data", "default-pod-template"),
		"imagePullSecrets:\n- name: mirror\nnodeSelector:\n  a: b\n")

	first, second := clitest.AuthorityPEM(t), clitest.AuthorityPEM(t)
	_, errOut := s.well(first, "ca", "-")
	if !strings.Contains(errOut,
		"run this again with --restart, or `kubectl -n tekton-pipelines rollout restart deployment/tekton-events-controller deployment/tekton-pipelines-controller`") {
		t.Error(errOut)
	}
	s.well(second, "ca", "-", "--restart")
	s.equal(s.get("ConfigMap", "tekton-pipelines", "config-registry-cert", "data", "cert"), first+second)
	if s.get("Deployment", "tekton-pipelines", "tekton-pipelines-controller", "spec", "template", "metadata",
		"annotations", "kubectl.kubernetes.io/restartedAt") == nil {
		t.Error("the controller was not restarted")
	}
	// The edit is the user's: an uninstall keeps it.
	uninstalled, err := s.Uninstall()
	if err != nil ||
		!strings.Contains(uninstalled, "ConfigMap/tekton-pipelines/config-registry-cert stays: somebody changed cert") {
		t.Errorf("%v\n%s", err, uninstalled)
	}
}
