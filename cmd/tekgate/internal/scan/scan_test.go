package scan

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// scanJSON runs scan, and returns its report by image.
func scanJSON(t *testing.T, in string, args ...string) (images map[string]scannedJSON, errOut string, err error) {
	t.Helper()
	out, errOut, err := program.Run(t, in, append([]string{"scan", "-o", "json"}, args...)...)
	var report scanReport
	if json.Unmarshal([]byte(out), &report) != nil {
		t.Fatalf("scan %v: %v\n%s%s", args, err, out, errOut)
	}
	images = map[string]scannedJSON{}
	for _, i := range report.Images {
		images[i.Image] = i
	}
	return images, errOut, err
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
	images, errOut,
		err := scanJSON(t, "", clitest.File(t, "objects.yaml", scannedObjects), "--config",
		clitest.File(t, "tekgate.yaml", scanConfig))
	for _, want := range []struct{ image, state, to, at string }{
		{"golang", stateMirrored, "registry.example.com/hub/library/golang:latest",
			"TaskRun/default/a-*: spec.taskSpec.steps[0].image"},
		{"gcr.io/template", stateMirrored, "registry.example.com/gcr/template",
			"TaskRun/default/a-*: spec.taskSpec.stepTemplate.image"},
		{"gcr.io/pinned" + pin, stateMirrored, "registry.example.com/gcr/pinned:digest-19f02276bf8d", ""},
		{"quay.io/nowhere", stateNoRule, "", ""},
		{"internal.example.com/x", stateStays, "", ""},
		{"registry.example.com/hub/library/x", stateStays, "", ""},
		{"$(params.default)", stateNoRule, "", ""},
		{"$(params.given)", stateMirrored, "registry.example.com/hub/library/given", ""},
		{"$(params.none)", stateParameter, "", ""},
		{"lower/UPPER", stateInvalid, "", ""},
		{"gcr.io/apart", stateLeft, "registry.example.com/gcr/apart", "TaskRun/apart/b: spec.taskSpec.steps[0].image"},
		{"gcr.io/task", stateResolved, "registry.example.com/gcr/task", "Task/default/t: spec.steps[0].image"},
		{"gcr.io/clustertask", stateLeft, "registry.example.com/gcr/clustertask", "ClusterTask/t: spec.steps[0].image"},
		{"gcr.io/pipeline", stateMirrored, "registry.example.com/gcr/pipeline",
			"Pipeline/default/p: spec.tasks[0].taskSpec.steps[0].image"},
		{"gcr.io/stepaction", stateResolved, "registry.example.com/gcr/stepaction", "StepAction/default/s: spec.image"},
		{"$(tt.params.image)", stateLeft, "registry.example.com/gcr/tt",
			"TriggerTemplate/default/tt: spec.resourcetemplates[0].spec.taskSpec.steps[0].image"},
		{"gcr.io/template-run", stateMirrored, "registry.example.com/gcr/template-run", ""},
		{"gcr.io/cron", stateLeft, "registry.example.com/gcr/cron",
			"CronJob/default/c: spec.jobTemplate.spec.template.spec.containers[0].image"},
		{"gcr.io/fetched", stateMirrored, "registry.example.com/gcr/fetched",
			"TaskRun/default/fetched: status.taskSpec.steps[0].image"},
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
	if why := images["gcr.io/apart"].Why; !strings.Contains(why,
		"the configuration excepts it from the rule: write registry.example.com/gcr/apart in its place") {
		t.Errorf("it says %s", why)
	}
	if want := "9 objects, 19 images: 7 mirrored, 2 resolved, 2 stays, 2 no rule, 4 left alone, 1 parameter, 1 invalid, 1 lose their digest; 7 out of reach"; !strings.Contains(
		errOut,
		want) {
		t.Errorf("it says %s", errOut)
	}
	if err == nil || err.Error() != "7 of 19 images are out of reach" {
		t.Errorf("got %v", err)
	}
}

// TestScanStored tests Tasks that the webhook changes when they are stored.
func TestScanStored(t *testing.T) {
	images, _, _ := scanJSON(t, "", clitest.File(t, "objects.yaml", scannedObjects), "--config",
		clitest.File(t, "tekgate.yaml", scanConfig+"  localTasks: {mode: stored, except: {namespaces: [apart]}}\n"))
	for _, name := range []string{"gcr.io/task", "gcr.io/stepaction"} {
		if got := images[name]; got.State != stateMirrored || got.Why != "" {
			t.Errorf("%s: got %s (%s)", name, got.State, got.Why)
		}
	}
}

// TestScanFolder holds that a folder may hold other things, and that what cannot
// be read is told.
// TestScanFormer holds what becomes of images on a former mirror, and by which rule.
func TestScanFormer(t *testing.T) {
	config := clitest.File(t, "tekgate.yaml", `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror:
  registry: new.example.com
  layout: host-path
  former:
  - {registry: old.example.com/hub, layout: host-path}
  - {registry: names.example.com/t}
mutator:
  imageMirror: {enabled: true}
`)
	objects := clitest.File(t, "objects.yaml", `apiVersion: tekton.dev/v1
kind: TaskRun
metadata:
  generateName: a-
  annotations: {tekgate.dev/original-images: '{"redis:7":"older.example.com/redis:7"}'}
spec:
  taskSpec:
    params: [{name: x, default: 'names.example.com/t/x'}]
    steps:
    - {name: a, image: old.example.com/hub/docker.io/library/golang:1}
    - {name: b, image: names.example.com/t/node}
    - {name: c, image: 'older.example.com/redis:7'}
    - {name: d, image: $(params.x)}
`)
	images, errOut, err := scanJSON(t, "", objects, "--config", config)
	if err == nil {
		t.Error("images without a certain upstream name do not end it with an error")
	}
	for _, want := range []fate{
		{Image: "old.example.com/hub/docker.io/library/golang:1", State: stateMirrored,
			To: "new.example.com/docker.io/library/golang:1", Rule: "registry new.example.com"},
		{Image: "names.example.com/t/node", State: stateLeft,
			Why: "it is on a former mirror (mirror.former[1]), and its upstream name is not certain: write the upstream name in its place, or add it to mirror.former[1].images"},
		{Image: "older.example.com/redis:7", State: stateMirrored, To: "new.example.com/docker.io/library/redis:7",
			Rule: "tekgate.dev/original-images"},
		{Image: "$(params.x)", Default: "names.example.com/t/x", State: stateLeft,
			Why: "it is on a former mirror (mirror.former[1]), and its upstream name is not certain: write the upstream name in its place, or add it to mirror.former[1].images"},
	} {
		if got := images[want.Image].fate; got != want {
			t.Errorf("got  %+v\nwant %+v\n%s", got, want, errOut)
		}
	}
}

func TestScanFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("values.yaml", "replicas: 3\n---\n- x\n")
	write("task.yaml", kanikoTask)
	out, errOut, err := program.Run(t, "", "scan", dir)
	if err != nil || !strings.Contains(out, "task.yaml: Task/default/NAME: spec.steps[0].image") ||
		!strings.Contains(errOut, "1 objects, 1 images: 1 listed; 0 out of reach") {
		t.Errorf("got %s%s%v", out, errOut, err)
	}
	write("broken.yaml", "a: b: c\n")
	out, errOut, err = program.Run(t, "", "scan", dir)
	if err == nil || err.Error() != "1 files could not be read, and are not judged" ||
		!strings.Contains(out, "Task/default/NAME") ||
		!strings.Contains(errOut, "broken.yaml: not well-formed: mapping values") {
		t.Errorf("got %s%s%v", out, errOut, err)
	}
	for args, want := range map[string]string{
		filepath.Join(dir, "broken.yaml"): "not well-formed",
		dir + " -A":                       "--all-namespaces is for the cluster",
		dir + " --context x":              "--kubeconfig and --context are for the cluster",
		"-o xml":                          "say table, json, yaml, name or jsonpath=TEMPLATE",
		"none":                            "no such file or directory",
	} {
		if _, _, err := program.Run(t, "", append([]string{"scan"}, strings.Fields(args)...)...); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

// TestScanProbe holds that registries know better than rules.
func TestScanProbe(t *testing.T) {
	upstream, target := clitest.Mirror(t), clitest.Mirror(t)
	clitest.Push(t, upstream+"/there:1", clitest.Index(t))
	clitest.Push(t, target+"/m/there:1", clitest.Index(t))
	clitest.Push(t, upstream+"/only:1", clitest.Index(t))
	config := clitest.File(t, "tekgate.yaml",
		strings.NewReplacer("UP", upstream, "TARGET", target).Replace(`apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror: {rules: [{match: UP/**, to: 'TARGET/m/{path}'}]}
mutator: {imageMirror: {enabled: true}}
`))
	const run = "apiVersion: tekton.dev/v1\nkind: KIND\nmetadata: {name: x}\nspec: {taskSpec: {steps: [{image: 'UP/there:1'}, {image: 'UP/only:1'}, {image: $(params.x)}]}}\n"
	images, _, err := scanJSON(t, strings.NewReplacer("KIND", "TaskRun", "UP", upstream).Replace(run), "-", "--config",
		config, "--probe")
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
	out, errOut, err := program.Run(t, strings.NewReplacer("KIND", "TaskRun", "UP", upstream).Replace(run), "scan", "-",
		"--mirror", "registry.example.com/x", "--probe", "--platform", "linux/s390x")
	if err == nil || !strings.Contains(out, "as it is written: missing platform") {
		t.Errorf("got %s%s%v", out, errOut, err)
	}
	// So does the image of a volume.
	const volume = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: x}\nspec: {podTemplate: {volumes: [{name: v, image: {reference: 'UP/only:1'}}]}}\n"
	images, _, _ = scanJSON(t, strings.ReplaceAll(volume, "UP", upstream), "-", "--config", config, "--probe")
	if got := images[upstream+"/only:1"]; got.Target == nil || got.Target.Status != "missing" || !got.Unreachable {
		t.Errorf("a volume: got %+v", got)
	}
	out, errOut, err = program.Run(t, strings.NewReplacer("KIND", "TaskRun", "UP", upstream).Replace(run), "scan", "-",
		"--probe")
	if err != nil || !strings.Contains(errOut, "3 images: 1 parameter, 2 listed; 0 out of reach") {
		t.Errorf("got %s%s%v", out, errOut, err)
	}
}

// TestScanProbeWarns holds that an index is named which nodes can pull and Tekton cannot look up.
func TestScanProbeWarns(t *testing.T) {
	host := clitest.Mirror(t)
	twins := mutate.AppendManifests(clitest.Index(t), mutate.IndexAddendum{Add: clitest.Platform(t, "amd64"),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
	clitest.Push(t, host+"/twins:1", twins)
	run := "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: x}\nspec: {taskSpec: {steps: [{image: '" + host + "/twins:1'}]}}\n"
	out, errOut, err := program.Run(t, run, "scan", "-", "--probe")
	if err != nil || !strings.Contains(out, "it lists linux/amd64 twice") ||
		!strings.Contains(errOut, "1 images: 1 listed; 0 out of reach; 1 with a warning") {
		t.Errorf("%v\n%s%s", err, out, errOut)
	}
	images, _, _ := scanJSON(t, run, "-", "--probe")
	if got := images[host+"/twins:1"]; got.Written.Status != "ok" || len(got.Written.Warnings) != 1 {
		t.Errorf("%+v", got.Written)
	}
}

// TestLive tests scan with a real API server.
func TestLive(t *testing.T) {
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)

	_, errOut, err := program.Run(t, "", append([]string{"scan", "-A"}, s.Kubeconfig...)...)
	if err != nil ||
		!strings.Contains(errOut,
			"the cluster serves no Task, ClusterTask, StepAction, Pipeline, PipelineRun, TaskRun, TriggerTemplate") {
		t.Errorf("without Tekton: %s%v", errOut, err)
	}
	s.TektonKinds()
	t.Run("scan", s.scanLive)
	t.Run("little permission", func(t *testing.T) { s.restricted(t, c.Kubeconfig) })
}

func (s *site) scanLive(t *testing.T) {
	s.T = t
	s.Create(strings.Replace(kanikoTask, "name: NAME", "name: build, namespace: ci", 1))
	s.Create(strings.NewReplacer("metadata: {generateName: a-}",
		"metadata: {name: a, namespace: ci}").Replace(strings.Split(scannedObjects, "---")[0]))
	s.Create(
		"apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata: {name: tt, namespace: other}\nspec: {resourcetemplates: [" +
			"{apiVersion: tekton.dev/v1, kind: TaskRun, spec: {taskSpec: {steps: [{image: gcr.io/tt}]}}}]}\n")
	config := []string{"--config", clitest.File(t, "tekgate.yaml", scanConfig)}
	images, errOut, err := scanJSON(t, "", slices.Concat([]string{"-n", "ci"}, config, s.Kubeconfig)...)
	if err == nil || images["golang"].State != stateMirrored ||
		images["gcr.io/kaniko-project/executor:v1.24.0"].State != stateResolved || images["gcr.io/tt"].State != "" {
		t.Errorf("got %v\n%s%v", images, errOut, err)
	}
	if at := images["golang"].Places[0]; at.Object != "TaskRun/ci/a" || at.File != "" {
		t.Errorf("it stands in %v", at)
	}
	if !strings.Contains(errOut, "the cluster serves no ClusterTask\n") {
		t.Errorf("it says %s", errOut)
	}
	images, _, _ = scanJSON(t, "", slices.Concat([]string{"-A"}, config, s.Kubeconfig)...)
	if images["gcr.io/tt"].State != stateMirrored {
		t.Errorf("in all namespaces: got %v", images)
	}
	for _, name := range []string{"-A", "-n"} {
		if _, _, err := program.Run(t, "", append([]string{"scan", "-A", name, "ci"}, s.Kubeconfig...)...); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// restricted holds what a user gets who may read TaskRuns alone.
func (s *site) restricted(t *testing.T, kubeconfig string) {
	s.T = t
	s.Create(`
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
	eve := clitest.Impersonating(t, kubeconfig, "eve")
	images, errOut, err := scanJSON(t, "", "-n", "ci", "--mirror", "registry.example.com/hub", "--kubeconfig", eve)
	if err == nil || errors.Is(err, os.ErrNotExist) || images["golang"].State != stateMirrored {
		t.Errorf("got %v %v", images, err)
	}
	clitest.InOrder(t, errOut, "warning: listing Tasks: ", `User "eve" cannot list`, "they are left out",
		`warning: reading Namespace ci: `)
}

// kanikoTask builds an image.
const kanikoTask = `apiVersion: tekton.dev/v1
kind: Task
metadata: {name: NAME}
spec:
  steps:
  - {name: build, image: 'gcr.io/kaniko-project/executor:v1.24.0', args: [--no-push]}
`
