package credentials

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
