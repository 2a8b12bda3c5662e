package watch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// site is an API server with Tekton's kinds.
type site struct {
	*clitest.Site
	cluster *cluster.Cluster
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := cluster.StartEmpty(t)
	s := &site{clitest.NewSite(t, clitest.Program{command}, c.Config, c.Kubeconfig), c}
	s.TektonKinds()
	return s
}

// command is the verb, with sentences that show what they were asked for.
func command() *cobra.Command {
	return Command(func(*rest.Config) (Sentence, error) {
		return func(_ context.Context, namespace, kind, name string) string {
			if name == "unexplained" {
				return ""
			}
			return fmt.Sprintf("the reason of %s %s/%s. And a second sentence.", kind, namespace, name)
		}, nil
	})
}

// run creates a run. kind is PipelineRun or TaskRun.
func (s *site) run(kind, name, metadata string) {
	s.T.Helper()
	spec := `{pipelineRef: {name: build}}`
	if kind == "TaskRun" {
		spec = `{taskRef: {name: build}}`
	}
	s.Create(fmt.Sprintf("apiVersion: tekton.dev/v1\nkind: %s\nmetadata: {namespace: ci, name: %s, %s}\nspec: %s\n",
		kind, name, metadata, spec))
}

// status sets a run's condition.
func (s *site) status(kind, name, status, reason, message string) {
	s.T.Helper()
	fields := map[string]any{
		"startTime": "2026-08-01T12:00:00Z",
		"conditions": []any{map[string]any{"type": "Succeeded", "status": status, "reason": reason, "message": message,
			"lastTransitionTime": "2026-08-01T12:00:00Z"}},
	}
	if kind == "TaskRun" {
		fields["podName"] = ""
	}
	if status != "Unknown" {
		fields["completionTime"] = "2026-08-01T12:01:05Z"
	}
	obj := clitest.ObjectOf("tekton.dev/v1 " + kind + " ci/" + name)
	patch := fmt.Sprintf(`{"status":%s}`, clitest.JSON(s.T, fields))
	if err := s.Client.Status().Patch(s.T.Context(), obj,
		client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		s.T.Fatal(err)
	}
}

// session is a command that runs until the test ends it.
type session struct {
	t      *testing.T
	lines  chan string
	errOut *buffer
	cancel func()
	ended  chan error
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs `tekgate watch`.
func (s *site) start(args ...string) *session {
	s.T.Helper()
	ctx, cancel := context.WithCancel(s.T.Context())
	reader, writer := io.Pipe()
	run := &session{s.T, make(chan string, 1000), &buffer{}, cancel, make(chan error, 1)}
	go func() {
		streams := cli.Streams{In: strings.NewReader(""), Out: writer, ErrOut: run.errOut}
		err := cli.Run(ctx, cli.Root(command()), append(append([]string{"watch"}, s.Kubeconfig...), args...), streams)
		run.ended <- err
		_ = writer.Close()
	}()
	go func() {
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			run.lines <- scanner.Text()
		}
	}()
	s.T.Cleanup(cancel)
	return run
}

// listening makes runs with a label in another namespace until a command that prints changes alone prints
// the last of them: what existed when it started to watch is not printed.
func (s *site) listening(r *session, label string) {
	s.T.Helper()
	for i := 0; ; i++ {
		name := fmt.Sprintf("marker-%d", i)
		s.Create(fmt.Sprintf("apiVersion: tekton.dev/v1\nkind: TaskRun\n"+
			"metadata: {namespace: other, name: %s, labels: {%s}}\nspec: {taskRef: {name: build}}\n", name, label))
		select {
		case line := <-r.lines:
			for !strings.Contains(line, name+" ") {
				line = r.next()
			}
			return
		case err := <-r.ended:
			s.T.Fatalf("the command ended: %v\n%s", err, r.errOut)
		case <-time.After(time.Second):
		}
	}
}

// next returns the next line.
func (r *session) next() string {
	r.t.Helper()
	select {
	case line := <-r.lines:
		return line
	case err := <-r.ended:
		r.t.Fatalf("the command ended: %v\n%s", err, r.errOut)
	case <-time.After(time.Minute):
		r.t.Fatalf("no further line; stderr:\n%s", r.errOut)
	}
	return ""
}

// expect reads one line, which must have the given parts in this order.
func (r *session) expect(parts ...string) {
	r.t.Helper()
	clitest.InOrder(r.t, r.next(), parts...)
}

// row reads one line of JSON.
func (r *session) row() (found row) {
	r.t.Helper()
	line := r.next()
	if err := json.Unmarshal([]byte(line), &found); err != nil {
		r.t.Fatalf("%v in %s", err, line)
	}
	return found
}

// end ends the command as Ctrl-C does, and returns the lines that were left.
func (r *session) end() (left []string) {
	r.t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("the command ended with %v", err)
	}
	for {
		select {
		case line := <-r.lines:
			left = append(left, line)
		case <-time.After(100 * time.Millisecond):
			return left
		}
	}
}

// TestLines holds that each change of a state is one line, and changes of anything else are none.
func TestLines(t *testing.T) {
	s := newSite(t)
	s.run("PipelineRun", "old", "")
	s.status("PipelineRun", "old", "True", "Succeeded", "all is well")
	s.run("TaskRun", "owned", "labels: {tekton.dev/pipelineRun: old}")

	r := s.start("-n", "ci")
	owned := s.start("-n", "ci", "-l", "tekton.dev/pipelineRun=old", "-o", "json")
	silent := s.start("-A", "--watch-only", "-l", "app=web")
	r.expect("Succeeded", "ci/pr/old", "1m5s")
	s.listening(silent, "app: web")

	s.run("TaskRun", "build", "labels: {app: web, triggers.tekton.dev/triggers-eventid: 0123456789ab, "+
		"triggers.tekton.dev/trigger: push}")
	r.expect("Pending", "ci/tr/build", "(push event 01234567)")
	s.status("TaskRun", "build", "Unknown", "Running", "Not all Steps have finished. More text")
	r.expect("Running", "ci/tr/build", "Not all Steps have finished.")
	s.status("TaskRun", "build", "Unknown", "Running", "another message")
	s.status("TaskRun", "build", "False", "Failed", "step failed")
	r.expect("Failed", "ci/tr/build", "1m5s", "the reason of TaskRun ci/build.")
	s.run("PipelineRun", "unexplained", "")
	r.expect("Pending", "ci/pr/unexplained")
	s.status("PipelineRun", "unexplained", "False", "PipelineRunTimeout", "took too long")
	r.expect("TimedOut", "ci/pr/unexplained", "took too long")
	s.Delete("tekton.dev/v1 TaskRun ci/build")
	r.expect("Deleted", "ci/tr/build")
	if left := r.end(); len(left) > 0 {
		t.Errorf("there are further lines: %q", left)
	}

	found := owned.row()
	if found.Name != "owned" || found.Kind != "TaskRun" || found.State != Pending || found.UID == "" ||
		found.Cause != nil {
		t.Errorf("the TaskRun of a PipelineRun is %+v", found)
	}
	if left := owned.end(); len(left) > 0 {
		t.Errorf("there are further lines: %q", left)
	}
	silent.expect("Pending", "ci/tr/build")
	silent.expect("Running")
	silent.expect("Failed")
	silent.expect("Deleted")
	if left := silent.end(); len(left) > 0 {
		t.Errorf("there are further lines: %q", left)
	}
}

// TestOutage holds that an outage of the API server is reported once, and that nothing that
// happened since is missed.
func TestOutage(t *testing.T) {
	s := newSite(t)
	s.run("PipelineRun", "first", "")
	r := s.start("-A", "-o", "json")
	if found := r.row(); found.Name != "first" || found.State != Pending {
		t.Fatalf("the first line is %+v", found)
	}
	if err := s.cluster.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the outage is reported", func() bool {
		return strings.Contains(r.errOut.String(), "does not answer")
	})
	time.Sleep(3 * time.Second) // several tries
	if err := s.cluster.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	s.run("TaskRun", "second", "")
	s.status("PipelineRun", "first", "True", "Completed", "")
	states := map[string]string{}
	for len(states) < 2 {
		found := r.row()
		states[found.Name] = found.State
	}
	if states["first"] != Succeeded || states["second"] != Pending {
		t.Errorf("after the outage the states are %v", states)
	}
	s.Eventually("the end of the outage is reported", func() bool {
		return strings.Contains(r.errOut.String(), "answers again")
	})
	if left := r.end(); len(left) > 0 {
		t.Errorf("there are further lines: %q", left)
	}
	errOut := r.errOut.String()
	if strings.Count(errOut, "\n") != 2 || strings.Count(errOut, "does not answer") != 1 {
		t.Errorf("stderr is not two lines:\n%s", errOut)
	}
}

// TestRemovedVersion holds that the command goes on when an upgrade of Tekton removes the version
// of the API that it reads.
func TestRemovedVersion(t *testing.T) {
	s := newSite(t)
	s.run("PipelineRun", "first", "")
	r := s.start("-A", "-o", "json")
	r.row()
	s.remove("v1", "pipelineruns")
	s.remove("v1", "taskruns")
	s.Create("apiVersion: tekton.dev/v1beta1\nkind: PipelineRun\n" +
		"metadata: {namespace: ci, name: second}\nspec: {pipelineRef: {name: build}}\n")
	// The watch of the old version may deliver this one. It ends soon, with all of its kind.
	found := r.row()
	if found.Name != "second" || found.Kind != "PipelineRun" {
		t.Errorf("after v1 was removed the next line is %+v", found)
	}
	s.Eventually("the new version is read", func() bool {
		return strings.Contains(r.errOut.String(), "answers again")
	})
	s.Create("apiVersion: tekton.dev/v1beta1\nkind: TaskRun\n" +
		"metadata: {namespace: ci, name: third}\nspec: {taskRef: {name: build}}\n")
	if found := r.row(); found.Name != "third" || found.Kind != "TaskRun" {
		t.Errorf("the line after that is %+v", found)
	}
	r.end()
}

// remove ends the serving of a version of a kind.
func (s *site) remove(version, resource string) {
	s.T.Helper()
	named := "apiextensions.k8s.io/v1 CustomResourceDefinition " + resource + ".tekton.dev"
	crd := clitest.ObjectOf(named)
	if err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(crd), crd); err != nil {
		s.T.Fatal(err)
	}
	list, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	if err != nil {
		s.T.Fatal(err)
	}
	for _, v := range list {
		if fields, ok := v.(map[string]any); ok && fields["name"] == version {
			fields["served"] = false
		}
	}
	s.Patch(named, fmt.Sprintf(`{"spec":{"versions":%s}}`, clitest.JSON(s.T, list)))
}

// TestOnce holds the table of the runs that exist, and its order.
func TestOnce(t *testing.T) {
	s := newSite(t)
	program := s.Program
	watch := func(args ...string) (out, errOut string, err error) {
		return program.Run(t, "", append(append([]string{"watch", "--once"}, s.Kubeconfig...), args...)...)
	}
	out, errOut, err := watch("-n", "other")
	if err != nil || out != "" || errOut != "there are no runs in namespace other\n" {
		t.Errorf("without runs: %q, %q, %v", out, errOut, err)
	}
	s.run("PipelineRun", "done", "")
	s.status("PipelineRun", "done", "True", "Succeeded", "")
	s.run("TaskRun", "broken", "")
	s.status("TaskRun", "broken", "False", "TaskRunImagePullFailed", "cannot pull\nmore")
	s.run("TaskRun", "waits", "")
	s.status("TaskRun", "waits", "Unknown", "ExceededResourceQuota", "quota")
	out, _, err = watch("-A")
	if err != nil {
		t.Fatal(err)
	}
	clitest.InOrder(t, out, "NAMESPACE  RUN        CAUSE  DURATION", "STATE", "WHY",
		"ci         tr/waits", "Pending", "quota", "tr/broken", "Failed", "the reason of TaskRun ci/broken.",
		"pr/done", "1m5s", "Succeeded")
	for _, tt := range []struct{ args, want string }{
		{"-l a=b=c", "write it like app=web,!canary"},
		{"-o wide", `--output "wide" is not known`},
		{"-n ci -A", "--namespace and --all-namespaces contradict each other"},
		{"--watch-only", "--once and --watch-only contradict each other"},
	} {
		if _, _, err := watch(strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got error %v", tt.args, err)
		}
	}
	s.denied()
}

// grant allows a user what verbs do to some kinds of runs in all namespaces.
func (s *site) grant(user, resources, verbs string) {
	s.Create(fmt.Sprintf(`apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules: [{apiGroups: [tekton.dev], resources: [%[2]s], verbs: [%[3]s]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{kind: User, name: %[1]s}]
`, user, resources, verbs))
}

// denied holds what a user gets who may not list all or any of the kinds.
func (s *site) denied() {
	s.grant("half", "pipelineruns", "list, watch")
	s.grant("lists", "pipelineruns, taskruns", "list")
	t := s.T
	half := clitest.Impersonating(t, s.Kubeconfig[1], "half")
	var out, errOut string
	var err error
	s.Eventually("the user may list PipelineRuns", func() bool {
		out, errOut, err = s.Program.Run(t, "", "watch", "--once", "-A", "--kubeconfig", half)
		return err == nil
	})
	if !strings.Contains(out, "pr/done") || strings.Contains(out, "tr/") ||
		!strings.Contains(errOut, "warning: you may not list taskruns") {
		t.Errorf("with half of the rights: %s\n%s", out, errOut)
	}
	nobody := clitest.Impersonating(t, s.Kubeconfig[1], "nobody")
	_, _, err = s.Program.Run(t, "", "watch", "--once", "-n", "ci", "--kubeconfig", nobody)
	if err == nil || !strings.Contains(err.Error(), "you may not list pipelineruns in namespace ci: ask for the verbs") {
		t.Errorf("without rights: %v", err)
	}
	lists := clitest.Impersonating(t, s.Kubeconfig[1], "lists")
	s.Eventually("the user may list", func() bool {
		_, _, err = s.Program.Run(t, "", "watch", "--once", "-A", "--kubeconfig", lists)
		return err == nil
	})
	_, _, err = s.Program.Run(t, "", "watch", "-A", "--kubeconfig", lists)
	if err == nil || !strings.Contains(err.Error(), "you may not watch pipelineruns: ask for the verbs") {
		t.Errorf("with the right to list alone: %v", err)
	}
}

// TestWithoutTekton holds the errors for clusters that cannot have runs.
func TestWithoutTekton(t *testing.T) {
	c := cluster.StartEmpty(t)
	program := clitest.Program{command}
	_, _, err := program.Run(t, "", "watch", "--kubeconfig", c.Kubeconfig)
	if err == nil || err.Error() != "the cluster has no Tekton Pipelines: install it with `tekgate install`" {
		t.Errorf("without Tekton: %v", err)
	}
	if err := c.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	_, _, err = program.Run(t, "", "watch", "--kubeconfig", c.Kubeconfig)
	if err == nil || !strings.Contains(err.Error(), "finding Tekton's API") ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("without an API server: %v", err)
	}
	if err := c.StartAPIServer(); err != nil { // for Stop
		t.Fatal(err)
	}
}
