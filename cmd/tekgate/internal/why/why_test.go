package why

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/kube"
)

// program has the verbs that the tests of this package run.
var program = clitest.Program{Command}

var pool = cluster.NewAuditedPool()

func TestMain(m *testing.M) { os.Exit(pool.Main(m)) }

// site is a cluster with Tekton's kinds.
type site struct {
	*clitest.Site
	cluster *cluster.Cluster
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := pool.Start(t)
	k, err := kube.Client(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{clitest.NewSite(t, program, c.Config, c.Kubeconfig), c}
	s.Client = k // without rate limits
	s.TektonKinds()
	return s
}

// put creates an object with its status.
func (s *site) put(text string) {
	s.T.Helper()
	if err := s.try(text); err != nil {
		s.T.Fatal(err)
	}
}

func (s *site) try(text string) error {
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		return err
	}
	status := obj.Object["status"]
	if err := s.Client.Create(s.T.Context(), obj); err != nil || status == nil {
		return err
	}
	obj.Object["status"] = status
	return s.Client.Status().Update(s.T.Context(), obj)
}

// run returns a TaskRun that has ended.
func run(name, reason, message, more string) string {
	return fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: %s, namespace: ci}
spec: {serviceAccountName: builder, taskSpec: {steps: [{name: work, image: team/tool, command: [run]}]}}
status:
  podName: %s-pod
  completionTime: %q
  conditions: [{type: Succeeded, status: "False", reason: %s, message: %q}]
%s`, name, name, time.Now().UTC().Format(time.RFC3339), reason, message, more)
}

func pullFailure(image string) string {
	return fmt.Sprintf(`the step "work" in TaskRun "x" failed to pull the image "". The pod errored with the message: `+
		`"Back-off pulling image "%s": ErrImagePull: failed to resolve image: %s: not found."`, image, image)
}

// why runs the command, and returns its output and exit status.
func (s *site) why(args ...string) (out, errOut string, status int) {
	s.T.Helper()
	out, errOut, err := program.Run(s.T, "", append(append([]string{"why"}, s.Kubeconfig...), args...)...)
	if err != nil {
		errOut += err.Error()
	}
	return out, errOut, cli.Status(err)
}

// firstLine checks the first line of an explanation, and returns the rest.
func (s *site) firstLine(want string, args ...string) string {
	s.T.Helper()
	out, errOut, status := s.why(args...)
	line, rest, _ := strings.Cut(out, "\n")
	if !strings.HasPrefix(line, "[fail] "+want) || status != 1 {
		s.T.Errorf("why %v: status %d, printed %q, want a first line with %q\n%s", args, status, out, want, errOut)
	}
	return rest + errOut
}

// requests returns what the API server has recorded of `tekgate` since the last call. It skips the test on
// a cluster without a record.
func (s *site) requests() (lines []string) {
	s.T.Helper()
	if s.cluster.Existing() {
		s.T.Skip("needs an API server that records its requests")
	}
	last := rest.CopyConfig(s.cluster.Config)
	last.UserAgent = "last/" + rand.Text() // recorded after all that was answered before
	client, err := kube.Client(last)
	if err != nil {
		s.T.Fatal(err)
	}
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	if err := client.Get(s.T.Context(), types.NamespacedName{Name: "ci"}, namespace); err != nil {
		s.T.Fatal(err)
	}
	for {
		recorded, err := s.cluster.Requests()
		if err != nil {
			s.T.Fatal(err)
		}
		for _, r := range recorded {
			switch {
			case r.UserAgent == last.UserAgent && strings.HasSuffix(r.URI, "/namespaces/ci"):
				return lines
			case strings.HasPrefix(r.UserAgent, "tekgate/"):
				lines = append(lines, r.Verb+" "+r.URI)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// many is how many runs the namespace of the measurement has.
const many = 2000

// TestWhyAmongMany holds that an explanation in a namespace of 2,000 runs takes fewer than 20
// requests and two seconds, with all that it can need: an image that its registry lacks.
func TestWhyAmongMany(t *testing.T) {
	s := newSite(t)
	mirror := clitest.Mirror(t)
	clitest.Push(t, mirror+"/team/tool:other", clitest.Platform(t, "amd64"))
	image := mirror + "/team/tool:1.0"
	s.put(run("sought", "TaskRunImagePullFailed", pullFailure(image), ""))
	s.Create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: builder, namespace: ci}\n" +
		"imagePullSecrets: [{name: pull}]\n")
	s.Create("apiVersion: v1\nkind: Secret\nmetadata: {name: pull, namespace: ci}\n" +
		"type: kubernetes.io/dockerconfigjson\nstringData: {.dockerconfigjson: '{\"auths\":{\"x.test\":{\"auth\":\"dTpw\"}}}'}\n")
	s.put("apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: pipe, namespace: ci}\n" +
		"spec: {pipelineRef: {name: p}}\nstatus: {conditions: [{type: Succeeded, status: 'False', reason: Failed, message: 'Tasks Completed: 1'}]}\n")
	s.put(strings.Replace(run("pipe-build", "TaskRunImagePullFailed", pullFailure(image), ""), "namespace: ci}",
		"namespace: ci, labels: {tekton.dev/pipelineRun: pipe}}", 1))
	var group errgroup.Group
	group.SetLimit(16)
	for i := range many {
		group.Go(func() error {
			return s.try(run(fmt.Sprintf("other-%d", i), "Failed", "it failed", ""))
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	s.requests()
	for _, name := range []string{"sought", "pipe"} {
		started := time.Now()
		rest := s.firstLine("image-missing: Pod ci/", name, "-n", "ci")
		took := time.Since(started)
		requests := s.requests()
		t.Logf("%s: %d requests in %s", name, len(requests), took)
		if len(requests) >= 20 || len(requests) == 0 {
			t.Errorf("why %s sent %d requests, want fewer than 20:\n%s", name, len(requests),
				strings.Join(requests, "\n"))
		}
		if took > 2*time.Second {
			t.Errorf("why %s took %s, want at most 2 s\n%s", name, took, rest)
		}
		for _, request := range requests {
			if strings.Contains(request, "taskruns?") && !strings.Contains(request, "labelSelector") {
				t.Errorf("why %s lists all runs: %s", name, request)
			}
		}
	}
	if out, _, status := s.why("sougth", "-n", "ci"); status != 2 {
		t.Errorf("a run that does not exist: status %d, printed %q", status, out)
	}
}

// TestWhyNotFound holds that a misspelt name is answered with the closest run.
func TestWhyNotFound(t *testing.T) {
	s := newSite(t)
	s.put(run("build-app", "Failed", "x", ""))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"build-ap", "-n", "ci"}, `namespace ci has no run build-ap: did you mean "build-app"?`},
		{[]string{"taskrun", "buildapp", "-n", "ci"}, `namespace ci has no TaskRun buildapp: did you mean "build-app"?`},
		{[]string{"pipelinerun", "zzz", "-n", "ci"}, "has no PipelineRun zzz: name another namespace with -n"},
		{[]string{"task", "x"}, `kind "task" is not known`},
		{[]string{}, "no run: pass the name"},
		{[]string{"x", "--failed"}, "pass either a run or --failed"},
		{[]string{"x", "-A"}, "--all-namespaces is for --failed"},
		{[]string{"x", "-o", "xml"}, `"xml" is not known`},
	} {
		if _, errOut, status := s.why(tt.args...); status != 2 || !strings.Contains(errOut, tt.want) {
			t.Errorf("why %v: status %d, %q, want 2 and %q", tt.args, status, errOut, tt.want)
		}
	}
}

// TestWhyRestricted holds that what a user may not read is listed, and that the rest is answered.
func TestWhyRestricted(t *testing.T) {
	s := newSite(t)
	s.put(run("build", "TaskRunImagePullFailed", pullFailure("registry.invalid/team/tool:1.0"), ""))
	s.Create(`apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: viewer, namespace: ci}
rules: [{apiGroups: [tekton.dev], resources: [taskruns], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: viewer, namespace: ci}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: viewer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: viewer}]
`)
	s.Kubeconfig = []string{"--kubeconfig", clitest.Impersonating(t, s.Kubeconfig[1], "viewer")}
	rest := s.firstLine("image-missing: Pod ci/build-pod, step work: registry.invalid/team/tool:1.0 is not there",
		"build", "-n", "ci", "--offline")
	clitest.InOrder(t, rest, "push the image", "docs/troubleshooting.md#image-missing",
		"not read: Pods of namespace ci: you may not", "not read: Events of namespace ci: you may not")
	if _, errOut, status := s.why("build", "-n", "other"); status != 2 || !strings.Contains(errOut, "forbidden") {
		t.Errorf("in a namespace without rights: status %d, %q", status, errOut)
	}
}

// TestWhyFormats holds that programs get the same answer, and that a run without a cause is
// no failure.
func TestWhyFormats(t *testing.T) {
	s := newSite(t)
	s.put(run("build", "TaskRunImagePullFailed", pullFailure("registry.invalid/team/tool:1.0"), ""))
	s.put(strings.Replace(run("fine", "Succeeded", "ok", ""), `"False"`, `"True"`, 1))
	var got struct {
		Run    struct{ Kind, Name string }
		State  string
		Causes []struct{ ID, Message, Remedy, Hint, Image string }
	}
	for _, format := range []string{"json", "yaml"} {
		out, _, status := s.why("build", "-n", "ci", "--offline", "-o", format)
		err := yaml.Unmarshal([]byte(out), &got)
		if format == "json" {
			err = json.Unmarshal([]byte(out), &got)
		}
		if err != nil || status != 1 || got.State != "failed" || len(got.Causes) != 1 ||
			got.Causes[0].ID != "image-missing" || got.Causes[0].Hint == "" || got.Run.Kind != "TaskRun" {
			t.Errorf("-o %s: status %d, %v, %+v in %s", format, status, err, got, out)
		}
	}
	out, _, status := s.why("taskrun/fine", "-n", "ci")
	if status != 0 || out != "TaskRun ci/fine succeeded\n" {
		t.Errorf("a run that succeeded: status %d, printed %q", status, out)
	}
	out, _, status = s.why("fine", "-n", "ci", "-o", "json")
	if status != 0 || !strings.Contains(out, `"causes": []`) {
		t.Errorf("a run that succeeded, as JSON: status %d, printed %q", status, out)
	}
	if out, _, status = s.why("none", "-n", "ci", "-o", "json"); status != 2 || !strings.Contains(out, `"error"`) {
		t.Errorf("a run that does not exist, as JSON: status %d, printed %q", status, out)
	}
	if out, _, _ = s.why("build", "-n", "ci", "--offline", "-o", "name"); out != "taskrun.tekton.dev/build\n" {
		t.Errorf("-o name: printed %q", out)
	}
	if out, _, _ = s.why("--failed", "-n", "other", "--since", "90m"); out != "no run failed in the last 1h30m\n" {
		t.Errorf("no failed run: printed %q", out)
	}
	s.put("apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: build, namespace: ci}\n" +
		"spec: {pipelineRef: {name: p}}\nstatus: {conditions: [{type: Succeeded, status: 'True', reason: Succeeded}]}\n")
	s.firstLine("image-missing: Pod ci/build-pod", "build", "-n", "ci", "--offline")
	// 1 would mean that causes were found.
	for _, wrong := range []string{"taskrun a b", "--failed --since 1d", "--failed --since 0s", "--failed --since -1h",
		"--failed -A -n ci", "build --what", "job build"} {
		if _, errOut, status := s.why(strings.Fields(wrong)...); status != 2 || errOut == "" {
			t.Errorf("why %s: status %d, %q", wrong, status, errOut)
		}
	}
}

// TestWhyFailed holds that failed runs of all namespaces are grouped by cause, without old ones.
func TestWhyFailed(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"a", "b"} {
		s.put(run(name, "TaskRunImagePullFailed", pullFailure("registry.invalid/team/tool:1.0"), ""))
	}
	s.put(strings.Replace(run("c", "TaskRunTimeout", "too late", ""), "namespace: ci", "namespace: other", 1))
	s.put(strings.Replace(run("fine", "Succeeded", "ok", ""), `"False"`, `"True"`, 1))
	old := run("old", "Failed", "long ago", "")
	s.put(strings.Replace(old, time.Now().UTC().Format("2006-"), "2020-", 1))
	s.put("apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: pipe, namespace: ci}\n" +
		"spec: {pipelineRef: {name: p}}\nstatus: {conditions: [{type: Succeeded, status: 'False', reason: Failed}]}\n")
	s.put(strings.Replace(run("pipe-build", "TaskRunImagePullFailed", pullFailure("registry.invalid/team/tool:1.0"), ""),
		"namespace: ci}", "namespace: ci, labels: {tekton.dev/pipelineRun: pipe}}", 1))
	out, _, status := s.why("--failed", "-A", "--since", "1h", "--offline")
	if status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	clitest.InOrder(t, out, "3 runs: image-missing", "PipelineRun ci/pipe, TaskRun ci/a, TaskRun ci/b",
		"1 run: run-timeout", "TaskRun other/c")
	if strings.Contains(out, "old") || strings.Contains(out, "fine") || strings.Contains(out, "TaskRun ci/pipe") {
		t.Errorf("a run that is too old, succeeded or has an owner is in\n%s", out)
	}
	out, _, status = s.why("--failed", "-n", "tekton-pipelines")
	if status != 0 || !strings.Contains(out, "no run failed in the last 1h") {
		t.Errorf("without failures: status %d, printed %q", status, out)
	}
}

// TestWhySentences holds that other verbs get the first sentence.
func TestWhySentences(t *testing.T) {
	s := newSite(t)
	s.put(run("build", "TaskRunTimeout", "too late", ""))
	sentence, err := Sentences(s.cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	if got := sentence(t.Context(), "ci", "TaskRun", "build"); got != "run-timeout: TaskRun ci/build: too late" {
		t.Errorf("sentence %q", got)
	}
	if got := sentence(t.Context(), "ci", "TaskRun", "none"); got != "" {
		t.Errorf("sentence %q about a run that does not exist", got)
	}
}

// TestWhyPod holds that a Pod's containers and events are read, and that a deleted Pod's run is
// explained by the events that are left.
func TestWhyPod(t *testing.T) {
	s := newSite(t)
	unfinished := strings.Replace(run("hangs", "Pending", "Pending", ""), `"False"`, "Unknown", 1)
	s.put(unfinished)
	s.put(`apiVersion: v1
kind: Pod
metadata: {name: hangs-pod, namespace: ci, labels: {tekton.dev/taskRun: hangs}}
spec: {containers: [{name: step-work, image: team/tool}], initContainers: [{name: prepare, image: registry.invalid/entrypoint:v1}]}
status:
  phase: Pending
  initContainerStatuses:
  - {name: prepare, image: '', imageID: '', ready: false, restartCount: 0, state: {waiting: {reason: ImagePullBackOff, message: 'Back-off pulling image "registry.invalid/entrypoint:v1"'}}}
`)
	s.put(event("hangs-pod", "prepare", `Failed to pull image "registry.invalid/entrypoint:v1": not found`))
	rest := s.firstLine("injected-image-missing: Pod ci/hangs-pod, container prepare: registry.invalid/entrypoint:v1 is not there",
		"taskrun", "hangs", "-n", "ci", "--offline")
	clitest.InOrder(t, rest, "tekgate images copy")
	s.put(run("gone", "TaskRunTimeout", "too late", ""))
	s.put(event("gone-pod", "place-scripts", `Failed to pull image "registry.invalid/busybox:1": not found`))
	s.firstLine("injected-image-missing: Pod ci/gone-pod, container place-scripts", "gone", "-n", "ci", "--offline")
}

func event(pod, container, message string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Event
metadata: {name: %s.1, namespace: ci}
type: Warning
reason: Failed
message: %q
involvedObject: {apiVersion: v1, kind: Pod, namespace: ci, name: %s, fieldPath: 'spec.initContainers{%s}'}
`, pod, message, pod, container)
}

// TestCredentialsAreDropped holds that a reader keeps which servers a Secret is for, and none of
// its values, and that Secrets which a ServiceAccount lists in vain are known.
func TestCredentialsAreDropped(t *testing.T) {
	s := newSite(t)
	s.put(run("build", "Failed", "x", ""))
	s.Create(`apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, namespace: ci}
secrets: [{name: login}, {name: opaque}, {name: gone}]
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: ci}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{"x.test":{"username":"bot","password":"s3cr3t","auth":"Ym90OnMzY3IzdA=="}}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: opaque, namespace: ci}
stringData: {password: s3cr3t}
`)
	r, err := newReader(s.cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	key, err := r.find(t.Context(), []string{"TaskRun"}, "ci", "build")
	if err != nil {
		t.Fatal(err)
	}
	r.credentials(t.Context(), key, "kubernetes.io/dockerconfigjson")
	var kept []any
	for _, secret := range r.state.Kind("Secret") {
		kept = append(kept, secret.Object)
	}
	text := clitest.JSON(t, kept) + fmt.Sprint(r.state.Logins)
	if len(kept) != 2 || strings.Contains(text, "s3cr3t") || strings.Contains(text, "czNjcjN0") ||
		strings.Contains(text, "Ym90OnMzY3IzdA") {
		t.Errorf("%d Secrets are kept as %s", len(kept), text)
	}
	if !strings.Contains(text, "x.test") || !strings.Contains(text, "bot") {
		t.Errorf("the server or the user of a login is lost in %s", text)
	}
	if len(r.state.Absent) != 1 || r.state.Absent[0].Name != "gone" || len(r.gaps) > 0 {
		t.Errorf("absent %v, gaps %q, want the Secret gone and no gap", r.state.Absent, r.gaps)
	}
}

// TestKeychain holds that a registry is asked with the login whose key fits best.
func TestKeychain(t *testing.T) {
	all := logins{{Key: "x.test", Username: "host", Password: "p"},
		{Key: "x.test/team", Username: "team", Password: "p"}, {Key: "y.test", Auth: "not base64"}}
	for ref, want := range map[string]string{"x.test/team/app": "team", "x.test/app": "host", "y.test/app": "", "z.test/a": ""} {
		repository, err := name.NewRepository(ref)
		if err != nil {
			t.Fatal(err)
		}
		found, err := all.Resolve(repository)
		if err != nil {
			t.Fatal(err)
		}
		login, err := found.Authorization()
		if err != nil || login.Username != want {
			t.Errorf("%s: user %q, %v, want %q", ref, login.Username, err, want)
		}
	}
}

// TestWhyOldTekton holds that runs of Tekton v0.38.4 are explained, which serves no v1.
func TestWhyOldTekton(t *testing.T) {
	c := pool.Start(t)
	k, err := kube.Client(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{clitest.NewSite(t, program, c.Config, c.Kubeconfig), c}
	s.Client = k
	module, err := tekton.Module(t.Context(), "pipeline", "v0.38.4")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"300-taskrun.yaml", "300-pipelinerun.yaml"} {
		text, err := os.ReadFile(filepath.Join(module.Dir, "config", file))
		if err != nil {
			t.Fatal(err)
		}
		s.put(string(text))
	}
	s.Create("apiVersion: v1\nkind: Namespace\nmetadata: {name: ci}\n")
	old := strings.Replace(run("build", "TaskRunImagePullFailed", pullFailure("registry.invalid/tool:1.0"), ""),
		"tekton.dev/v1", "tekton.dev/v1beta1", 1)
	s.Eventually("TaskRuns are served", func() bool { err = s.try(old); return !kube.Absent(err) })
	if err != nil {
		t.Fatal(err)
	}
	s.firstLine("image-missing: Pod ci/build-pod, step work: registry.invalid/tool:1.0 is not there", "build", "-n", "ci",
		"--offline")
	_, errOut, status := s.why("biuld", "-n", "ci")
	if status != 2 || !strings.Contains(errOut, `did you mean "build"?`) {
		t.Errorf("a misspelt name: status %d, %q", status, errOut)
	}
	s.put("apiVersion: tekton.dev/v1beta1\nkind: PipelineRun\nmetadata: {name: pipe, namespace: ci}\n" +
		"spec: {pipelineRef: {name: p}}\n" +
		"status: {conditions: [{type: Succeeded, status: 'False', reason: Failed, message: 'Tasks Completed: 1'}]}\n")
	out, errOut, _ := s.why("--failed", "-n", "ci", "--offline")
	clitest.InOrder(t, out, "1 run: image-missing", "TaskRun ci/build")
	if !strings.Contains(errOut, "2 runs failed") {
		t.Errorf("the PipelineRun is not among the failed runs: %q", errOut)
	}
}

// TestWhyWithoutTekton holds that a cluster without Tekton is named as such.
func TestWhyWithoutTekton(t *testing.T) {
	c := pool.Start(t)
	s := &site{clitest.NewSite(t, program, c.Config, c.Kubeconfig), c}
	_, errOut, status := s.why("x", "-n", "default")
	if status != 2 || !strings.Contains(errOut, "no Tekton Pipelines") {
		t.Errorf("status %d, %q", status, errOut)
	}
}

// TestLimit holds that an explanation never takes more requests than its limit, and says what it
// has not read for that.
func TestLimit(t *testing.T) {
	s := newSite(t)
	s.put(run("build", "TaskRunImagePullFailed", pullFailure("registry.invalid/team/tool:1.0"), ""))
	config, err := clientcmd.BuildConfigFromFlags("", s.cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "tekgate/test"
	s.requests()
	r, err := newReader(config)
	if err != nil {
		t.Fatal(err)
	}
	r.limit = 4
	key, err := r.find(t.Context(), []string{"PipelineRun", "TaskRun"}, "ci", "build")
	if err != nil {
		t.Fatal(err)
	}
	causes := r.explain(t.Context(), key)
	if len(causes) != 1 || causes[0].ID != "image-missing" {
		t.Errorf("causes %v, want image-missing", causes)
	}
	if sent := s.requests(); len(sent) != 4 || r.spent != 4 {
		t.Errorf("%d requests, counted as %d, want 4:\n%s", len(sent), r.spent, strings.Join(sent, "\n"))
	}
	if gaps := strings.Join(r.gaps, "\n"); !strings.Contains(gaps, "4 requests were sent already") {
		t.Errorf("gaps %q, want what was not read for the limit", gaps)
	}
}
