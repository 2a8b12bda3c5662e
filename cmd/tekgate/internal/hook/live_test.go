package hook

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/replicas"
	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/interceptor/deliveries"
)

// hookSite is an API server with two replicas of the interceptor, each a process that
// stands for a Pod.
type hookSite struct {
	*cluster.Cluster
	kube     kubernetes.Interface
	client   client.Client
	kubelet  *kubelet
	program  string // the interceptor
	operator string // the kubeconfig of somebody who may do nothing at first
}

func newHookSite(t *testing.T) *hookSite {
	t.Helper()
	l := &hookSite{Cluster: cluster.StartEmpty(t), program: filepath.Join(t.TempDir(), "interceptor")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", l.program,
		"../../../interceptor").CombinedOutput(); err != nil {
		t.Fatalf("building the interceptor: %v\n%s", err, out)
	}
	var err error
	if l.kube, err = kubernetes.NewForConfig(l.Config); err != nil {
		t.Fatal(err)
	}
	if l.client, err = client.New(l.Config, client.Options{}); err != nil {
		t.Fatal(err)
	}
	l.installTriggers(t)
	for _, name := range []string{"tekgate", "ci"} {
		l.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	l.create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "hook"},
		StringData: map[string]string{"token": "hunter2"}})
	l.kubelet = newNode(t, l.kube)
	l.operator = l.impersonate(t, "operator")
	return l
}

func (l *hookSite) create(t *testing.T, o client.Object) {
	t.Helper()
	if err := l.client.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func (l *hookSite) apply(t *testing.T, text string) {
	t.Helper()
	for document := range strings.SplitSeq(text, "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &u.Object); err != nil {
			t.Fatal(err)
		}
		if err := l.client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(u),
			client.FieldOwner("test")); err != nil {
			t.Fatal(err)
		}
	}
}

// installTriggers creates the definitions of Triggers.
func (l *hookSite) installTriggers(t *testing.T) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}",
		"github.com/tektoncd/triggers").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "config", "300-*.yaml"))
	if err != nil || len(files) < 7 {
		t.Fatalf("the module of Triggers has %d definitions, error %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l.apply(t, string(text))
	}
}

// impersonate returns the kubeconfig of a user without any right.
func (l *hookSite) impersonate(t *testing.T, user string) string {
	t.Helper()
	return clitest.Impersonating(t, l.Kubeconfig, user)
}

// interceptorProcess is one replica, and its log.
type interceptorProcess struct {
	cmd *exec.Cmd
	log child.Log
}

// address waits for the log line with msg and returns its address.
func (p *interceptorProcess) address(t *testing.T, msg string) string {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for lines := bufio.NewScanner(strings.NewReader(p.log.String())); lines.Scan(); {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == msg {
				return line.Address
			}
		}
	}
	t.Fatalf("the log has no line %q:\n%s", msg, p.log.String())
	return ""
}

// replica starts a process of the interceptor, and makes the Pod that it stands for.
func (l *hookSite) replica(t *testing.T, pod string) *interceptorProcess {
	t.Helper()
	p := &interceptorProcess{cmd: exec.Command(l.program, "--kubeconfig", l.Kubeconfig, "--bind-address=127.0.0.1:0",
		"--health-bind-address=0",
		"--metrics-bind-address=0", "--deliveries-bind-address=127.0.0.1:0", "--drain=1s")}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	l.kubelet.pod(t, l.kube, pod,
		map[int]string{8443: p.address(t, "serving events"),
			replicas.DeliveriesPort: p.address(t, "serving deliveries")})
	return p
}

func (p *interceptorProcess) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // it was killed
}

// TestHookLive sends to and lists from interceptors that run, through ports that the
// API server forwards.
func TestHookLive(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	l := newHookSite(t)
	l.apply(t, `
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: build, namespace: ci}
spec:
  interceptors:
  - ref: {name: tekgate, kind: ClusterInterceptor}
    params:
    - {name: provider, value: github}
    - {name: secretRef, value: {secretName: hook, secretKey: token}}
  template: {ref: build}`)
	first, second := l.replica(t, "a"), l.replica(t, "b")
	first.address(t, "ClusterInterceptor tekgate is published")
	l.testSend(t)
	l.testList(t, second)
}

// testSend sends two to Pod a, which is listed first, and one to Pod b.
func (l *hookSite) testSend(t *testing.T) {
	send := []string{"send", "--kubeconfig", l.Kubeconfig, "--trigger=build", "-n=ci", "--body",
		write(t, "push.json", pushed), "--interceptor"}
	out, _, err := hookTool(t, send...)
	if err != nil || !strings.Contains(out, `"continue": true`) || !strings.Contains(out, `"repository": "team/app"`) {
		t.Errorf("got %s, error %v", out, err)
	}
	out, _, err = hookTool(t, append(send, "--secret-file", write(t, "s", "a guess"))...)
	const refused = "the delivery is not verified: the log of deployment/tekgate-interceptor has the reason"
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), refused) ||
		!strings.Contains(out, `"continue": false`) {
		t.Errorf("forged: got %s, error %v", out, err)
	}
	setPhase(t, l.kube, "a", corev1.PodPending)
	if out, _, err = hookTool(t, append(send, "--event=pull_request")...); err != nil {
		t.Errorf("to the other replica: got %s, error %v", out, err)
	}
	setPhase(t, l.kube, "a", corev1.PodRunning)
	// Nobody may look in without the right to.
	if _, _, err = hookTool(t, "send", "--kubeconfig", l.operator, "--provider=github", "--secret-file",
		write(t, "s", "hunter2"), "--secret=hook/token",
		"--body", write(t, "push.json", pushed), "--interceptor"); err == nil {
		t.Error("somebody without any right asked the interceptor")
	}
}

func (l *hookSite) testList(t *testing.T, second *interceptorProcess) {
	list := []string{"deliveries", "--kubeconfig", l.operator, "-n=ci", "-o=json"}
	if _, _, err := hookTool(t, list...); err == nil ||
		!strings.Contains(err.Error(), "listing the interceptor's Pods in namespace tekgate") ||
		!strings.Contains(err.Error(), "forbidden") {
		t.Errorf("without rights: got %v", err)
	}
	l.apply(t, documentedRole(t, "tekgate-deliveries"))
	l.create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: "operator"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tekgate-deliveries"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "operator"}},
	})
	got, _ := l.wait(t, list, 3)
	if summary(got) != "pull_request:verified push:signature-mismatch push:verified" {
		t.Errorf("got %s", summary(got))
	}
	if got, _ = l.wait(t, append(list, "--refused"), 1); summary(got) != "push:signature-mismatch" {
		t.Errorf("refused: got %s", summary(got))
	}
	// A Pod that runs, and whose process has just gone.
	second.kill()
	got, errOut := l.wait(t, list, 2)
	if summary(got) != "push:signature-mismatch push:verified" || !strings.Contains(errOut, "warning: ") {
		t.Errorf("with one replica away: got %s, and %q", summary(got), errOut)
	}
	// And one whose node knows nothing of it.
	if err := l.kube.CoreV1().Nodes().Delete(t.Context(), "node", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := hookTool(t, list...); err == nil || !strings.Contains(err.Error(), "reaching Pod tekgate/a") {
		t.Errorf("without a node: got %v", err)
	}
}

// wait lists until there are so many: rights take a moment to be known.
func (l *hookSite) wait(t *testing.T, args []string, want int) (list []deliveries.Delivery, errOut string) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var out string
		if out, errOut, err = hookTool(t, args...); err == nil {
			err = json.Unmarshal([]byte(out), &list)
		}
		if err == nil && len(list) == want {
			return list, errOut
		}
	}
	t.Fatalf("got %d deliveries, want %d, error %v\n%s", len(list), want, err, errOut)
	return nil, ""
}

// summary names events and reasons, the newest first.
func summary(list []deliveries.Delivery) string {
	var words []string
	for _, d := range list {
		words = append(words, fmt.Sprint(d.Event, ":", d.Reason))
	}
	return strings.Join(words, " ")
}

// documentedRole is a Role that docs/events.md says is enough.
func documentedRole(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "```yaml\n") {
		role, _, _ := strings.Cut(block, "```")
		if strings.Contains(role, "{name: "+name+",") {
			return role
		}
	}
	t.Fatalf("docs/events.md has no Role %s any more", name)
	return ""
}
