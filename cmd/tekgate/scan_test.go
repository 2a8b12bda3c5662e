package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/manifests"
)

// scanJSON runs scan, and returns its report by image.
func scanJSON(t *testing.T, in string, args ...string) (images map[string]scannedJSON, talk string, err error) {
	t.Helper()
	out, talk, err := tekgate(t, in, append([]string{"scan", "-o", "json"}, args...)...)
	var report scanReport
	if json.Unmarshal([]byte(out), &report) != nil {
		t.Fatalf("scan %v: %v\n%s%s", args, err, out, talk)
	}
	images = map[string]scannedJSON{}
	for _, i := range report.Images {
		images[i.Image] = i
	}
	return images, talk, err
}

const scanConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror:
  rules:
  - {match: gcr.io/**, to: 'registry.example.com/gcr/{path}', digest: drop}
  - {match: docker.io/**, to: 'registry.example.com/hub/{path}'}
  keep: [internal.example.com/**]
mutator:
  imageMirror: {enabled: true, except: {namespaces: [apart]}}
`

const pin = "@sha256:19f02276bf8d4e2bb4d6e8b1ad1ae5e2b7d3f4a5b6c7d8e9f0a1b2c3d4e5f607"

// scanned are objects with an image of every state.
const scannedObjects = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: a-}
spec:
  params: [{name: given, value: 'docker.io/library/given'}]
  taskSpec:
    params: [{name: default, default: quay.io/default}, {name: given}, {name: none}]
    stepTemplate: {image: gcr.io/template}
    steps:
    - {name: a, image: golang}
    - {name: b, image: 'gcr.io/pinned` + pin + `'}
    - {name: c, image: quay.io/nowhere}
    - {name: d, image: internal.example.com/x}
    - {name: e, image: registry.example.com/hub/library/x}
    - {name: f, image: $(params.default)}
    - {name: g, image: $(params.given)}
    - {name: h, image: $(params.none)}
    - {name: i, image: 'lower/UPPER'}
    sidecars: [{name: s, image: golang}]
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: b, namespace: apart}
spec: {taskSpec: {steps: [{name: a, image: gcr.io/apart}]}}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: t}
spec: {steps: [{name: a, image: gcr.io/task}]}
---
apiVersion: tekton.dev/v1beta1
kind: ClusterTask
metadata: {name: t}
spec: {steps: [{name: a, image: gcr.io/clustertask}]}
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec: {tasks: [{name: x, taskSpec: {steps: [{name: a, image: gcr.io/pipeline}]}}]}
---
apiVersion: tekton.dev/v1beta1
kind: StepAction
metadata: {name: s}
spec: {image: gcr.io/stepaction}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: tt}
spec:
  params: [{name: image, default: gcr.io/tt}]
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: TaskRun
    metadata: {generateName: c-}
    spec: {taskSpec: {steps: [{name: a, image: $(tt.params.image)}, {name: b, image: gcr.io/template-run}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: c}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: gcr.io/cron}]}}}}}
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: fetched}
spec: {taskRef: {resolver: git}}
status: {taskSpec: {steps: [{name: a, image: gcr.io/fetched}]}}
`

// TestScan holds the state of every image, where it stands and what it becomes.
func TestScan(t *testing.T) {
	images, talk, err := scanJSON(t, "", file(t, "objects.yaml", scannedObjects), "--config", file(t, "tekgate.yaml", scanConfig))
	for _, want := range []struct{ image, state, to, at string }{
		{"golang", stateMirrored, "registry.example.com/hub/library/golang:latest", "TaskRun/default/a-*: spec.taskSpec.steps[0].image"},
		{"gcr.io/template", stateMirrored, "registry.example.com/gcr/template", "TaskRun/default/a-*: spec.taskSpec.stepTemplate.image"},
		{"gcr.io/pinned" + pin, stateMirrored, "registry.example.com/gcr/pinned:digest-19f02276bf8d", ""},
		{"quay.io/nowhere", stateNoRule, "", ""},
		{"internal.example.com/x", stateStays, "", ""},
		{"registry.example.com/hub/library/x", stateStays, "", ""},
		{"$(params.default)", stateNoRule, "", ""},
		{"$(params.given)", stateLeft, "registry.example.com/hub/library/given", ""},
		{"$(params.none)", stateParameter, "", ""},
		{"lower/UPPER", stateInvalid, "", ""},
		{"gcr.io/apart", stateLeft, "registry.example.com/gcr/apart", "TaskRun/apart/b: spec.taskSpec.steps[0].image"},
		{"gcr.io/task", stateResolved, "registry.example.com/gcr/task", "Task/default/t: spec.steps[0].image"},
		{"gcr.io/clustertask", stateLeft, "registry.example.com/gcr/clustertask", "ClusterTask/t: spec.steps[0].image"},
		{"gcr.io/pipeline", stateMirrored, "registry.example.com/gcr/pipeline", "Pipeline/default/p: spec.tasks[0].taskSpec.steps[0].image"},
		{"gcr.io/stepaction", stateResolved, "registry.example.com/gcr/stepaction", "StepAction/default/s: spec.image"},
		{"$(tt.params.image)", stateLeft, "registry.example.com/gcr/tt", "TriggerTemplate/default/tt: spec.resourcetemplates[0].spec.taskSpec.steps[0].image"},
		{"gcr.io/template-run", stateMirrored, "registry.example.com/gcr/template-run", ""},
		{"gcr.io/cron", stateLeft, "registry.example.com/gcr/cron", "CronJob/default/c: spec.jobTemplate.spec.template.spec.containers[0].image"},
		{"gcr.io/fetched", stateMirrored, "registry.example.com/gcr/fetched", "TaskRun/default/fetched: status.taskSpec.steps[0].image"},
	} {
		got, ok := images[want.image]
		if to := strings.TrimSuffix(want.to, ":latest"); !ok || got.State != want.state || got.To != to {
			t.Errorf("%s: got %s %q, want %s %q (%s)", want.image, got.State, got.To, want.state, to, got.Why)
			continue
		}
		if at := got.Places[0].Object + ": " + got.Places[0].Path; want.at != "" && at != want.at {
			t.Errorf("%s: stands in %s, want %s", want.image, at, want.at)
		}
		bad := slices.Contains([]string{stateNoRule, stateLeft, stateInvalid}, want.state)
		if got.Unreachable != bad {
			t.Errorf("%s: out of reach: %v", want.image, got.Unreachable)
		}
	}
	if len(images) != 19 || len(images["golang"].Places) != 2 {
		t.Errorf("%d images, golang in %v", len(images), images["golang"].Places)
	}
	if d := images["gcr.io/pinned"+pin].Digest; d != "dropped" {
		t.Errorf("the digest is said to be %q", d)
	}
	if d := images["$(params.default)"].Default; d != "quay.io/default" {
		t.Errorf("the default is said to be %q", d)
	}
	if why := images["gcr.io/apart"].Why; !strings.Contains(why, "the configuration excepts it from the rule: write registry.example.com/gcr/apart in its place") {
		t.Errorf("it says %s", why)
	}
	if want := "9 objects, 19 images: 6 mirrored, 2 resolved, 2 stays, 2 no rule, 5 left alone, 1 parameter, 1 invalid, 1 lose their digest; 8 out of reach"; !strings.Contains(talk, want) {
		t.Errorf("it says %s", talk)
	}
	if err == nil || err.Error() != "8 of 19 images are out of reach" {
		t.Errorf("got %v", err)
	}
}

// TestScanFolder holds that a folder may hold other things, and that what cannot
// be read is told.
func TestScanFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("values.yaml", "replicas: 3\n---\n- x\n")
	write("task.yaml", task)
	out, talk, err := tekgate(t, "", "scan", dir)
	if err != nil || !strings.Contains(out, "task.yaml: Task/default/NAME: spec.steps[0].image") || !strings.Contains(talk, "1 objects, 1 images: 1 listed; 0 out of reach") {
		t.Errorf("got %s%s%v", out, talk, err)
	}
	write("broken.yaml", "a: b: c\n")
	out, talk, err = tekgate(t, "", "scan", dir)
	if err == nil || err.Error() != "1 files could not be read, and are not judged" || !strings.Contains(out, "Task/default/NAME") || !strings.Contains(talk, "broken.yaml: not well-formed: mapping values") {
		t.Errorf("got %s%s%v", out, talk, err)
	}
	for args, want := range map[string]string{
		filepath.Join(dir, "broken.yaml"): "not well-formed",
		dir + " -A":                       "--all-namespaces is for the cluster",
		dir + " --context x":              "--kubeconfig and --context are for the cluster",
		"-o yaml":                         "say table or json",
		"none":                            "no such file or directory",
	} {
		if _, _, err := tekgate(t, "", append([]string{"scan"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

// TestScanProbe holds that registries know better than rules.
func TestScanProbe(t *testing.T) {
	upstream, target := mirror(t), mirror(t)
	push(t, upstream+"/there:1", index(t))
	push(t, target+"/m/there:1", index(t))
	push(t, upstream+"/only:1", index(t))
	config := file(t, "tekgate.yaml", strings.NewReplacer("UP", upstream, "TARGET", target).Replace(`apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror: {rules: [{match: UP/**, to: 'TARGET/m/{path}'}]}
mutator: {imageMirror: {enabled: true}}
`))
	const run = "apiVersion: tekton.dev/v1\nkind: KIND\nmetadata: {name: x}\nspec: {taskSpec: {steps: [{image: 'UP/there:1'}, {image: 'UP/only:1'}, {image: $(params.x)}]}}\n"
	images, _, err := scanJSON(t, strings.NewReplacer("KIND", "TaskRun", "UP", upstream).Replace(run), "-", "--config", config, "--probe")
	there, only := images[upstream+"/there:1"], images[upstream+"/only:1"]
	if there.Unreachable || there.Written.Status != "ok" || there.Target.Status != "ok" || there.Target.Digest == "" {
		t.Errorf("got %+v %+v", there.Written, there.Target)
	}
	if !only.Unreachable || only.Written.Status != "ok" || only.Target.Status != "missing" || only.Target.Error == "" {
		t.Errorf("got %+v %+v", only.Written, only.Target)
	}
	if err == nil || err.Error() != "1 of 3 images are out of reach" {
		t.Errorf("got %v", err)
	}
	// An image without a rule is in reach where its registry answers.
	out, talk, err := tekgate(t, strings.NewReplacer("KIND", "TaskRun", "UP", upstream).Replace(run), "scan", "-", "--mirror", "registry.example.com/x", "--probe", "--platform", "linux/s390x")
	if err == nil || !strings.Contains(out, "as it is written: missing platform") {
		t.Errorf("got %s%s%v", out, talk, err)
	}
	out, talk, err = tekgate(t, strings.NewReplacer("KIND", "TaskRun", "UP", upstream).Replace(run), "scan", "-", "--probe")
	if err != nil || !strings.Contains(talk, "3 images: 1 parameter, 2 listed; 0 out of reach") {
		t.Errorf("got %s%s%v", out, talk, err)
	}
}

// tektonKinds puts Tekton's kinds into a cluster, without the conversion that only
// a running Tekton does.
func (s *site) tektonKinds() {
	s.t.Helper()
	for _, name := range []string{"pipeline", "triggers"} {
		release, err := manifests.Tekton(name)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, obj := range release.Objects {
			if obj.GetKind() != "CustomResourceDefinition" {
				continue
			}
			unstructured.RemoveNestedField(obj.Object, "spec", "conversion")
			if err := s.client.Create(s.t.Context(), obj); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton-pipelines}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ci}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
	for _, served := range [][2]string{{"tekton.dev/v1", "TaskRunList"}, {"tekton.dev/v1", "TaskList"}, {"triggers.tekton.dev/v1beta1", "TriggerTemplateList"}} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(served[0])
		list.SetKind(served[1])
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if err := s.client.List(s.t.Context(), list); err == nil {
				break
			} else if time.Now().After(deadline) {
				s.t.Fatal(err)
			}
		}
	}
}

// TestLive holds mutate --live and scan to a real API server.
func TestLive(t *testing.T) {
	c := cluster.StartEmpty(t)
	k, err := client.New(c.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, client: k, kubeconfig: []string{"--kubeconfig", c.Kubeconfig}}

	_, talk, err := tekgate(t, "", append([]string{"scan", "-A"}, s.kubeconfig...)...)
	if err != nil || !strings.Contains(talk, "the cluster serves no Task, ClusterTask, StepAction, Pipeline, PipelineRun, TaskRun, TriggerTemplate") {
		t.Errorf("without Tekton: %s%v", talk, err)
	}
	s.tektonKinds()
	t.Run("mutate", s.mutateLive)
	t.Run("scan", s.scanLive)
	t.Run("little permission", func(t *testing.T) { s.restricted(t, c.Kubeconfig) })
}

func (s *site) mutateLive(t *testing.T) {
	s.t = t
	live := append([]string{"--live", "-n", "ci", "--explain"}, s.kubeconfig...)
	s.create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: ci}\n")
	out, talk := mutateText(t, kanikoRun, live...)
	if strings.Contains(out, "DOCKER_CONFIG") || !strings.Contains(talk, `ServiceAccount "default" in namespace "ci" lists no Secret`) {
		t.Errorf("got\n%s%s", out, talk)
	}
	house := append([]string{"--config", file(t, "tekgate.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmutator: {serviceAccount: {name: builder}}\n")}, live...)
	_, talk = mutateText(t, kanikoRun, house...)
	if !strings.Contains(talk, `namespace "ci" has no ServiceAccount "builder"`) {
		t.Errorf("what is not in the cluster is not assumed: %s", talk)
	}
	const account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: builder, namespace: ci}\nsecrets: [{name: harbor}]\n"
	out, _ = mutateText(t, kanikoRun+"---\n"+account, house...)
	if !strings.Contains(out, "serviceAccountName: builder") || !strings.Contains(out, "DOCKER_CONFIG") {
		t.Errorf("what is in the input comes before the cluster: got\n%s", out)
	}
	s.create(account + "---\n" + strings.Replace(task, "name: NAME", "name: build, namespace: ci", 1))
	const ref = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r}\nspec: {taskRef: {name: build}}\n"
	out, talk = mutateText(t, ref, house...)
	if !strings.Contains(out, "serviceAccountName: builder") || !strings.Contains(talk, `set DOCKER_CONFIG for Task "build"`) {
		t.Errorf("a Task of the cluster: got\n%s%s", out, talk)
	}
	s.create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-defaults, namespace: tekton-pipelines}\ndata: {default-forbidden-env: 'HOME, DOCKER_CONFIG'}\n")
	if _, talk = mutateText(t, ref, house...); !strings.Contains(talk, "default-forbidden-env names DOCKER_CONFIG") {
		t.Errorf("Tekton's defaults are not read: %s", talk)
	}
	s.create("apiVersion: v1\nkind: Namespace\nmetadata: {name: out, labels: {tekgate.dev/mutate: disabled}}\n")
	out, talk = mutateText(t, strings.Replace(kanikoRun, "{generateName: build-}", "{generateName: build-, namespace: out}", 1), live...)
	if strings.Contains(out, "DOCKER_CONFIG") || !strings.Contains(talk, `Namespace "out" has the label`) {
		t.Errorf("got\n%s%s", out, talk)
	}
}

func (s *site) scanLive(t *testing.T) {
	s.t = t
	s.create(strings.NewReplacer("metadata: {generateName: a-}", "metadata: {name: a, namespace: ci}").Replace(strings.Split(scannedObjects, "---")[0]))
	s.create("apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata: {name: tt, namespace: other}\nspec: {resourcetemplates: [" +
		"{apiVersion: tekton.dev/v1, kind: TaskRun, spec: {taskSpec: {steps: [{image: gcr.io/tt}]}}}]}\n")
	config := []string{"--config", file(t, "tekgate.yaml", scanConfig)}
	images, talk, err := scanJSON(t, "", slices.Concat([]string{"-n", "ci"}, config, s.kubeconfig)...)
	if err == nil || images["golang"].State != stateMirrored || images["gcr.io/kaniko-project/executor:v1.24.0"].State != stateResolved || images["gcr.io/tt"].State != "" {
		t.Errorf("got %v\n%s%v", images, talk, err)
	}
	if at := images["golang"].Places[0]; at.Object != "TaskRun/ci/a" || at.File != "" {
		t.Errorf("it stands in %v", at)
	}
	if !strings.Contains(talk, "the cluster serves no ClusterTask\n") {
		t.Errorf("it says %s", talk)
	}
	images, _, _ = scanJSON(t, "", slices.Concat([]string{"-A"}, config, s.kubeconfig)...)
	if images["gcr.io/tt"].State != stateMirrored {
		t.Errorf("in all namespaces: got %v", images)
	}
	for _, name := range []string{"-A", "-n"} {
		if _, _, err := tekgate(t, "", append([]string{"scan", "-A", name, "ci"}, s.kubeconfig...)...); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// restricted holds what a user gets who may read TaskRuns alone.
func (s *site) restricted(t *testing.T, kubeconfig string) {
	s.t = t
	s.create(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: runs}
rules: [{apiGroups: [tekton.dev], resources: [taskruns], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: runs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: runs}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
`)
	eve := impersonating(t, kubeconfig, "eve")
	images, talk, err := scanJSON(t, "", "-n", "ci", "--mirror", "registry.example.com/hub", "--kubeconfig", eve)
	if err == nil || errors.Is(err, os.ErrNotExist) || images["golang"].State != stateMirrored {
		t.Errorf("got %v %v", images, err)
	}
	inOrder(t, talk, "warning: listing Tasks: ", `User "eve" cannot list`, "they are left out", `warning: reading Namespace ci: `)
	out, talk := mutateText(t, kanikoRun, "--live", "-n", "ci", "--kubeconfig", eve)
	if !strings.Contains(out, "DOCKER_CONFIG") || !strings.Contains(talk, "warning: reading ServiceAccount ci/default: ") || strings.Count(talk, "reading ConfigMap tekton-pipelines/feature-flags") != 1 {
		t.Errorf("got\n%s%s", out, talk)
	}
}

// impersonating writes a kubeconfig like another, of somebody else.
func impersonating(t *testing.T, kubeconfig, user string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range config.AuthInfos {
		info.Impersonate = user
	}
	file := filepath.Join(t.TempDir(), user)
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
