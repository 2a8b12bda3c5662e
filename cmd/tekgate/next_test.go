package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// site is a cluster that refuses single objects, and a folder with configurations.
type site struct {
	*testing.T
	client     client.Client
	kubeconfig string
	folder     string
	rounds     int // policies so far; each is known to be in force by a name of its own
}

func newSite(t *testing.T) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	other := clitest.NewSite(t, nil, c.Config, c.Kubeconfig) // which also ends namespaces
	return &site{T: t, client: other.Client, kubeconfig: c.Kubeconfig, folder: t.TempDir()}
}

// config writes a configuration whose path has to be quoted, and returns its path.
func (s *site) config(registry string) string {
	s.Helper()
	file := filepath.Join(s.folder, "it's "+registry+".yaml")
	text := "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: " + registry + "/tekton}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

// pipelines and triggers are small releases with objects for each stage: the real ones take
// an API server seconds for each dry run.
const (
	pipelines = `
apiVersion: v1
kind: Namespace
metadata: {name: tekton-pipelines}
---
apiVersion: v1
kind: Namespace
metadata: {name: tekton-pipelines-resolvers}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: taskruns.tekton.dev}
spec:
  group: tekton.dev
  names: {kind: TaskRun, plural: taskruns, singular: taskrun}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: tekton-pipelines-info, namespace: tekton-pipelines}
rules: []
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pipelines-info, namespace: tekton-pipelines}
data: {version: v1.15.1}
---
apiVersion: v1
kind: Service
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
spec: {selector: {app: webhook}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
spec:
  selector: {matchLabels: {app: webhook}}
  template:
    metadata: {labels: {app: webhook}}
    spec: {containers: [{name: webhook, image: 'quay.io/mini/webhook:v1'}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: validation.webhook.pipeline.tekton.dev}
webhooks:
- name: validation.webhook.pipeline.tekton.dev
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {service: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-pipelines-controller, namespace: tekton-pipelines}
spec:
  selector: {matchLabels: {app: controller}}
  template:
    metadata: {labels: {app: controller}}
    spec: {containers: [{name: controller, image: 'quay.io/mini/controller:v1'}]}
`
	triggers = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusterinterceptors.triggers.tekton.dev}
spec:
  group: triggers.tekton.dev
  names: {kind: ClusterInterceptor, plural: clusterinterceptors, singular: clusterinterceptor}
  scope: Cluster
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: triggers.tekton.dev/v1alpha1
kind: ClusterInterceptor
metadata: {name: bitbucket}
spec: {clientConfig: {service: {name: core, namespace: tekton-pipelines}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-triggers-controller, namespace: tekton-pipelines}
spec:
  selector: {matchLabels: {app: triggers}}
  template:
    metadata: {labels: {app: triggers}}
    spec: {containers: [{name: controller, image: 'quay.io/mini/triggers:v1'}]}
`
)

// install returns an install from a registry.
func (s *site) install(registry string) []string {
	s.Helper()
	args := []string{"install", "--config", s.config(registry), "--skip-probe", "--wait=false", "--yes",
		"--kubeconfig", s.kubeconfig}
	for flag, text := range map[string]string{"--pipeline-manifest": pipelines, "--triggers-manifest": triggers} {
		file := filepath.Join(s.folder, flag+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			s.Fatal(err)
		}
		args = append(args, flag, file)
	}
	return args
}

// policy refuses, outside dry runs, every write of an object of these names.
const policy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: refuse}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - {apiGroups: ["*"], apiVersions: ["*"], resources: ["*"], operations: [CREATE, UPDATE, DELETE]}
  validations:
  - message: refused by a test
    expression: >-
      request.dryRun || !(request.name in NAMES)
`

const binding = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: refuse}
spec: {policyName: refuse, validationActions: [Deny]}
`

func (s *site) object(text string) *unstructured.Unstructured {
	s.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		s.Fatal(err)
	}
	return obj
}

// refuse makes the server refuse objects of these names from now on, and no others.
func (s *site) refuse(names ...string) {
	s.Helper()
	s.rounds++
	canary := fmt.Sprintf("canary-%d", s.rounds)
	list, err := json.Marshal(append(names, canary))
	if err != nil {
		s.Fatal(err)
	}
	for _, text := range []string{strings.Replace(policy, "NAMES", string(list), 1), binding} {
		err := s.client.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(s.object(text)),
			client.FieldOwner("test"), client.ForceOwnership)
		if err != nil {
			s.Fatal(err)
		}
	}
	for range 600 {
		err := s.client.Create(s.Context(), s.object(
			"{apiVersion: v1, kind: ConfigMap, metadata: {namespace: default, name: "+canary+"}}"))
		if err != nil && strings.Contains(err.Error(), "refused by a test") {
			return
		}
		if err == nil {
			_ = s.client.Delete(s.Context(), s.object(
				"{apiVersion: v1, kind: ConfigMap, metadata: {namespace: default, name: "+canary+"}}"))
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.Fatal("the policy does not come into force")
}

// run runs a command line through the root command, and returns the error and what main
// prints of it.
func (s *site) run(args ...string) (printed string, err error) {
	s.Helper()
	_, _, err = clitest.Run(s.T, root(), "", args...)
	var out bytes.Buffer
	if err != nil {
		cli.PrintError(root(), &out, err)
	}
	return out.String(), err
}

// fails runs a command line that must be refused, and returns the commands that it prints.
func (s *site) fails(args ...string) (resume, rollback []string) {
	s.Helper()
	printed, err := s.run(args...)
	if err == nil || !strings.Contains(err.Error(), "refused by a test") {
		s.Fatalf("tekgate %s: error %v", strings.Join(args, " "), err)
	}
	return s.command(printed, "to resume:"), s.command(printed, "to roll back:")
}

// must runs a command line that must succeed.
func (s *site) must(args ...string) {
	s.Helper()
	if printed, err := s.run(args...); err != nil {
		s.Fatalf("tekgate %s: %s", strings.Join(args, " "), printed)
	}
}

// command returns the words of a printed command, as a shell splits them, without tekgate.
func (s *site) command(printed, after string) []string {
	s.Helper()
	_, rest, found := strings.Cut(printed, after+"\n  ")
	if !found {
		return nil
	}
	line, _, _ := strings.Cut(rest, "\n")
	out, err := exec.CommandContext(s.Context(), "sh", "-c", `printf '%s\0' `+line).Output()
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if err != nil || words[0] != "tekgate" {
		s.Fatalf("the printed command %q is not one: %v", line, err)
	}
	return words[1:]
}

// state returns the image and the existence of Deployments.
func (s *site) state() string {
	s.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("apps/v1")
	list.SetKind("DeploymentList")
	if err := s.client.List(s.Context(), list); err != nil {
		s.Fatal(err)
	}
	var lines []string
	for _, d := range list.Items {
		containers, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "containers")
		lines = append(lines, fmt.Sprint(d.GetName(), " ", containers[0].(map[string]any)["image"]))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// refusals are an object of each stage that admission policies can refuse.
var refusals = []string{
	"tekton-pipelines-resolvers",  // a Namespace
	"taskruns.tekton.dev",         // a definition
	"tekton-pipelines-info",       // a Role: permissions
	"tekton-pipelines-webhook",    // among others the Deployment of an admission server
	"bitbucket",                   // a ClusterInterceptor
	"tekton-pipelines-controller", // a controller
	"tekgate-webhook",             // a server of Tekgate
}

// TestResumeFirstInstall fails a first install at each stage, and goes on with the printed
// command each time.
func TestResumeFirstInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	command := s.install("registry.example.com")
	var rollback []string
	for _, name := range refusals {
		s.refuse(name)
		command, rollback = s.fails(command...)
		if want := []string{"uninstall", "--kubeconfig", s.kubeconfig}; !slices.Equal(rollback, want) {
			t.Errorf("with %s refused, the way back is %q, want %q", name, rollback, want)
		}
	}
	s.refuse()
	s.must(rollback...)
	if left := s.state(); left != "" {
		t.Errorf("the rollback leaves\n%s", left)
	}
	s.must(command...)
	if got := strings.Count(s.state(), "registry.example.com/tekton"); got != 5 {
		t.Errorf("after the last command there are these Deployments:\n%s", s.state())
	}
}

// TestResumeUpgrade fails an upgrade, a rollback and an uninstall, and goes on and back
// with the printed commands.
func TestResumeUpgrade(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.must(s.install("registry.example.com")...)
	first := s.state()
	wayBack := []string{"rollback", "--kubeconfig", s.kubeconfig, "--wait=false"}

	s.refuse("tekton-triggers-controller")
	resume, rollback := s.fails(s.install("registry.example.org")...)
	if !slices.Equal(rollback, wayBack) {
		t.Errorf("the way back from an upgrade is %q, want %q", rollback, wayBack)
	}
	s.refuse()
	s.must(rollback...)
	if got := s.state(); got != first {
		t.Errorf("the rollback of the upgrade leaves\n%s", got)
	}
	s.must(resume...)
	second := s.state()
	if second == first {
		t.Fatal("the upgrade changed nothing")
	}

	// A rollback goes on and back, too.
	for name, end := range map[string]string{"resume": first, "rollback": second} {
		s.refuse("tekton-triggers-controller")
		resume, rollback = s.fails("rollback", "--wait=false", "--kubeconfig", s.kubeconfig)
		s.refuse()
		if name == "resume" {
			s.must(resume...)
		} else {
			s.must(rollback...)
		}
		if got := s.state(); got != end {
			t.Errorf("%s of a rollback leaves\n%s", name, got)
		}
		if end == first { // return to the second
			s.must("rollback", "--wait=false", "--kubeconfig", s.kubeconfig)
		}
	}

	s.refuse("tekton-triggers-controller")
	resume, rollback = s.fails("uninstall", "--kubeconfig", s.kubeconfig)
	s.refuse()
	s.must(append(rollback, "--wait=false")...)
	if got := s.state(); got != second {
		t.Errorf("the rollback of an uninstall leaves\n%s", got)
	}
	s.must(resume...)
	if got := s.state(); got != "" {
		t.Errorf("the uninstall leaves\n%s", got)
	}
}

// interrupter cancels a context when a text is printed, as Ctrl-C does.
type interrupter struct {
	io.Writer
	at     string
	cancel context.CancelFunc
}

func (i *interrupter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(i.at)) {
		i.cancel()
	}
	return i.Writer.Write(p)
}

// TestInterruptedInstall holds what is printed, also as JSON, after Ctrl-C in the last
// stage, and before anything is written.
func TestInterruptedInstall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	args := append(s.install("registry.example.com"), "-o", "json")
	interrupt := func(at string) (report map[string]any, err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var out, errOut bytes.Buffer
		err = cli.Run(ctx, root(), args, cli.Streams{In: strings.NewReader(""), Out: &out,
			ErrOut: &interrupter{&errOut, at, cancel}})
		if err == nil || !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v\n%s", err, &errOut)
		}
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatal(err)
		}
		return report, err
	}
	_, err := interrupt(": namespaces")
	var printed bytes.Buffer
	cli.PrintError(root(), &printed, err)
	if !strings.Contains(printed.String(), "to try again:\n  tekgate install") ||
		strings.Contains(printed.String(), "to roll back") {
		t.Errorf("before the first write it prints\n%s", &printed)
	}
	report, _ := interrupt(": Tekgate's webhooks")
	resume, _ := report["resume"].(string)
	if report["rollback"] != "tekgate uninstall --kubeconfig "+s.kubeconfig || !strings.HasPrefix(resume, "tekgate install ") {
		t.Errorf("the report is %v", report)
	}
	s.must(s.command("to resume:\n  "+resume+"\n", "to resume:")...)
}

// TestResumeFromStandardInput holds that a manifest from standard input is named.
func TestResumeFromStandardInput(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.refuse("tekton-pipelines")
	manifest := "apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton-pipelines}\n"
	args := []string{"install", "--mirror", "registry.example.com", "--skip-probe", "--wait=false",
		"--kubeconfig", s.kubeconfig, "--pipeline-manifest", "-"}
	_, _, err := clitest.Run(t, root(), manifest, args...)
	var printed bytes.Buffer
	if err != nil {
		cli.PrintError(root(), &printed, err)
	}
	if !strings.Contains(printed.String(), "--pipeline-manifest was read from standard input: pass the same input again") {
		t.Errorf("it prints\n%s", &printed)
	}
}
