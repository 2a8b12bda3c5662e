package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// TestBesideTekton creates what the cases of the mutator's rules hold on a real
// API server, where Tekton's own webhook is called after ours, as in a cluster,
// and then before it.
func TestBesideTekton(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.Run("after ours", func(t *testing.T) {
		b := b.on(t)
		tekton.Start(t, b.cluster, tekton.Options{})
		b.configure()
		b.replay(false)
		b.Run("objects of a megabyte", func(t *testing.T) { b.on(t).testMegabyte() })
		b.Run("server-side apply", func(t *testing.T) { b.on(t).testApply() })
		b.Run("updates", func(t *testing.T) { b.on(t).testUntouched() })
		b.Run("a bundle is no local Task", func(t *testing.T) { b.on(t).testBundle() })
		b.Run("local Task", func(t *testing.T) { b.on(t).testLocalTask() })
		b.Run("stored Tasks", func(t *testing.T) { b.on(t).testStored() })
	})
	b.Run("before ours", func(t *testing.T) {
		b := b.on(t)
		tekton.Start(t, b.cluster, tekton.Options{Name: "aa.webhook.pipeline.tekton.dev"})
		b.replay(true)
	})
}

// replayed is one case of mutator/testdata.
type replayed struct {
	name, rule  string
	input, want *unstructured.Unstructured
	config      mutator.Config
	cluster     world
}

// world is what a case's cluster.yaml says.
type world struct {
	Namespace       mutator.Namespace            `json:"namespace"`
	ServiceAccounts map[string]mutator.Account   `json:"serviceAccounts"`
	Tasks           map[string]map[string]any    `json:"tasks"`
	ConfigMaps      map[string]mutator.ConfigMap `json:"configMaps"`
	Tekton          map[string]any               `json:"tekton"`
	Entrypoints     []entrypoint.Image           `json:"entrypoints"`
	Resolved        bool                         `json:"resolved"`
	Error           string                       `json:"error"`
}

// replay gives each case a namespace, with the case's configuration as its own.
func (b *bed) replay(tektonFirst bool) {
	b.Helper()
	done := map[string]int{}
	for i, c := range b.cases() {
		space := fmt.Sprintf("replay-%v-%d", tektonFirst, i)
		if why := c.unplayable(); why != "" {
			continue
		}
		b.Run(c.name, func(t *testing.T) {
			if b.on(t).play(c, space, tektonFirst) {
				done[c.rule]++
			}
		})
	}
	total := 0
	for _, rule := range mutator.Rules {
		total += done[rule.ID]
		if done[rule.ID] == 0 {
			b.Errorf("no case of the rule %s was replayed", rule.ID)
		}
	}
	b.Logf("replayed %d cases: %v", total, done)
	if total < 100 {
		b.Errorf("only %d cases were replayed", total)
	}
}

// unplayable says why a case has no meaning on this cluster, or "".
func (c *replayed) unplayable() string {
	dryRuns := !c.cluster.Resolved && c.config.LocalTasks.Mode != mutator.TasksStored
	switch {
	case c.cluster.Error != "":
		return "the API server does answer"
	case c.otherConfigMaps():
		return "the server may read the ConfigMap tekgate-ca alone"
	case len(c.cluster.Tekton) > 0:
		return "Tekton is set up otherwise here"
	case len(c.cluster.Namespace.Annotations) > 0:
		return "the namespace has settings already"
	case slices.Contains(withResolvers, c.name):
		return "Tekton's resolvers do not run here, and one rule alone is on: see TestLocalTasks"
	case c.name == "docker-config/scope-namespace-in":
		return "the namespace is called otherwise"
	case dryRuns && slices.Contains([]string{"Task", "Pipeline", "StepAction"}, c.input.GetKind()):
		return "the server is asked about it in the controller's dry runs alone"
	case c.input.GroupVersionKind().Version == "v1alpha1" && c.input.GetKind() != "StepAction":
		return "Tekton v1.15.1 no longer serves it"
	}
	return ""
}

// otherConfigMaps reports whether there are some that the manifests let nobody read, or that are only
// assumed to exist.
func (c *replayed) otherConfigMaps() bool {
	for name, found := range c.cluster.ConfigMaps {
		if name != "tekgate-ca" || found.Assumed {
			return true
		}
	}
	return false
}

// withResolvers are the cases that need more than the test has.
var withResolvers = []string{
	"image-mirror/param-given-as-number", // Tekton writes a text, and has the rules called again
	"image-mirror/param-of-fetched-task", "local-tasks/a-step-objects", "local-tasks/default-used-by-run",
	"local-tasks/warnings-of-task", "local-tasks/fetched",
	"local-tasks/pod-template-suffices", "local-tasks/signed", "local-tasks/step-action",
	"local-tasks/ca-bundle", "local-tasks/step-action-of-task", "local-tasks/step-action-resolved", "local-tasks/v1beta1",
}

// play reports false where Tekton refuses the case's object by itself.
func (b *bed) play(c *replayed, space string, tektonFirst bool) bool {
	b.Helper()
	b.furnish(c, space)
	create := func(space string) (*unstructured.Unstructured, error) {
		obj := c.input.DeepCopy()
		obj.SetNamespace(space)
		if obj.GetName() == "" && obj.GetGenerateName() == "" {
			obj.SetGenerateName("replayed-")
		}
		as := b.client
		if c.cluster.Resolved {
			as = b.controller()
		}
		return obj, as.Create(b.Context(), obj, client.DryRunAll)
	}
	if _, err := create(space + "-out"); err != nil {
		b.Logf("Tekton refuses it: %v", err)
		return false
	}
	got, err := create(space)
	if err != nil {
		b.Fatalf("Tekton accepts it, and no longer once Tekgate has changed it: %v", err)
	}
	// With Tekton first, "default" is named before the rules see the run, see
	// TestAdmission.
	named := tektonFirst && (c.rule == "service-account" || c.rule == "together")
	if missing := lacks(c.want.Object, got.Object, ""); missing != "" && !named {
		text, _ := json.Marshal(got.Object)
		b.Errorf("the object that comes back differs at %s: %s", missing, text)
	}
	again := got.DeepCopy()
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"} {
		unstructured.RemoveNestedField(again.Object, "metadata", field)
	}
	before := again.DeepCopy()
	as := b.client
	if c.cluster.Resolved {
		as = b.controller()
	}
	if err := as.Create(b.Context(), again, client.DryRunAll); err != nil {
		b.Fatalf("creating what came back: %v", err)
	}
	if missing := lacks(before.Object["spec"], again.Object["spec"], "spec"); missing != "" {
		b.Errorf("what came back, created anew, differs at %s", missing)
	}
	return true
}

// furnish makes two namespaces for a case, the second of which has opted out.
func (b *bed) furnish(c *replayed, space string) {
	b.Helper()
	text, err := json.Marshal(c.config)
	if err != nil {
		b.Fatal(err)
	}
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space, Labels: c.cluster.Namespace.Labels,
		Annotations: map[string]string{wellknown.MutatorKey: string(text)}}})
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: space + "-out",
		Labels: map[string]string{wellknown.MutateKey: wellknown.Disabled}}})
	for name, found := range c.cluster.ConfigMaps {
		data := map[string]string{}
		for _, key := range found.Keys {
			data[key] = "an authority"
		}
		b.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: name}, Data: data})
	}
	for name, account := range c.cluster.ServiceAccounts {
		object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: name,
			Annotations: account.Annotations}}
		for _, secret := range account.Secrets {
			object.Secrets = append(object.Secrets, corev1.ObjectReference{Name: secret})
		}
		for _, secret := range account.PullSecrets {
			object.ImagePullSecrets = append(object.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
		}
		b.create(object)
	}
	b.lock(c.cluster.Entrypoints)
	for name, task := range c.cluster.Tasks {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "tekton.dev/v1", "kind": "Task",
			"spec": task["spec"]}}
		if metadata, ok := task["metadata"].(map[string]any); ok {
			object.Object["metadata"] = metadata
		}
		object.SetNamespace(space)
		object.SetName(name)
		b.create(object)
	}
}

// lock stores what images start, as `tekgate images lock` does, and waits until the server knows
// it. All cases say the same.
func (b *bed) lock(images []entrypoint.Image) {
	b.Helper()
	if len(images) == 0 {
		return
	}
	data, err := entrypoint.Data(images)
	if err != nil {
		b.Fatal(err)
	}
	err = b.client.Create(b.Context(), &corev1.ConfigMap{Data: data,
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.TekgateNamespace, Name: entrypoint.ConfigMap}})
	switch {
	case apierrors.IsAlreadyExists(err):
	case err != nil:
		b.Fatal(err)
	default:
		time.Sleep(2 * time.Second) // some times --recheck
	}
}

// controller is a client that calls itself Tekton's controller.
func (b *bed) controller() client.Client {
	b.Helper()
	config := rest.CopyConfig(b.cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: mutator.ControllerOf("tekton-pipelines"),
		Groups: []string{"system:masters"}}
	c, err := client.New(config, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// lacks returns where got does not say what want says, or "". What Tekton and the
// API server add does not count, nor what they write in another form.
func lacks(want, got any, at string) string {
	switch want := want.(type) {
	case nil:
		return ""
	case map[string]any:
		fields, _ := got.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if at == "" && key == "status" || at == ".metadata" &&
				slices.Contains([]string{"namespace", "creationTimestamp", "generation"}, key) {
				continue
			}
			if where := lacks(want[key], fields[key], at+"."+key); where != "" {
				return where
			}
		}
		return ""
	case []any:
		list, _ := got.([]any)
		if len(list) != len(want) {
			return fmt.Sprintf("%s: %d elements instead of %d", at, len(list), len(want))
		}
		for i := range want {
			if where := lacks(want[i], list[i], fmt.Sprintf("%s[%d]", at, i)); where != "" {
				return where
			}
		}
		return ""
	}
	number, isNumber := want.(float64)
	whole, isWhole := got.(int64)
	if got == nil && reflect.ValueOf(want).IsZero() || fmt.Sprint(want) == fmt.Sprint(got) || isNumber && isWhole &&
		int64(number) == whole {
		return ""
	}
	return fmt.Sprintf("%s: %v instead of %v", at, got, want)
}

// cases reads mutator/testdata.
func (b *bed) cases() []*replayed {
	b.Helper()
	folders, err := filepath.Glob("../../mutator/testdata/*/*")
	if err != nil || len(folders) == 0 {
		b.Fatalf("no cases, error %v", err)
	}
	var cases []*replayed
	for _, folder := range folders {
		rule := filepath.Base(filepath.Dir(folder))
		if info, err := os.Stat(folder); err != nil || !info.IsDir() || rule == "fuzz" {
			continue
		}
		c := &replayed{name: rule + "/" + filepath.Base(folder), rule: rule, input: b.object(folder + "/input.yaml"),
			want: b.object(folder + "/want.yaml")}
		c.config = b.caseConfig(folder, rule)
		if text, err := os.ReadFile(folder + "/cluster.yaml"); err == nil {
			if err := yaml.Unmarshal(text, &c.cluster); err != nil {
				b.Fatal(err)
			}
		}
		cases = append(cases, c)
	}
	return cases
}

func (b *bed) object(path string) *unstructured.Unstructured {
	b.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return b.parse(string(text))
}

// caseConfig is the configuration of a case as a Namespace can have it: with the
// mirror in the rule's own section.
func (b *bed) caseConfig(folder, rule string) mutator.Config {
	b.Helper()
	config := struct {
		Mutator mutator.Config `json:"mutator"`
		Mirror  image.Mirror   `json:"mirror"`
	}{Mutator: mutator.Default()}
	text, err := os.ReadFile(folder + "/config.yaml")
	if err != nil {
		text, err = os.ReadFile(filepath.Dir(folder) + "/config.yaml")
	}
	if err == nil {
		if err := strict.UnmarshalYAML(text, &config); err != nil {
			b.Fatal(err)
		}
	}
	if config.Mutator.ImageMirror.Enabled && config.Mutator.ImageMirror.Mirror == nil {
		config.Mutator.ImageMirror.Mirror = &config.Mirror
	}
	if rule == "together" {
		return config.Mutator
	}
	for id, scope := range scopesOf(&config.Mutator) {
		scope.Disabled = scope.Disabled || id != rule
	}
	return config.Mutator
}

// testMegabyte is as large as an object gets: etcd takes 1.5 MB.
func (b *bed) testMegabyte() {
	run := b.parse(kaniko("megabyte", "v1"))
	steps := run.Object["spec"].(map[string]any)["taskSpec"].(map[string]any)["steps"].([]any)
	steps[0].(map[string]any)["script"] = "#!/bin/sh\n" + strings.Repeat("echo \"quoted\" \u2028 ü\n", 45_000)
	b.create(account("ci"))
	b.create(run)
	b.is(run, injected, "builder")
}

// testApply is what kubectl apply --server-side and --dry-run=server send. Applying
// a manifest once more is an update, which lacks what the rules added; Tekton would
// refuse it, where without Tekgate it finds nothing changed.
func (b *bed) testApply() {
	apply := func(edit func(*unstructured.Unstructured), options ...client.ApplyOption) (*unstructured.Unstructured,
		error) {
		run := b.parse(kaniko("applied", "v1"))
		if edit != nil {
			edit(run)
		}
		options = append(options, client.FieldOwner("kubectl"))
		return run, b.client.Apply(b.Context(), client.ApplyConfigurationFromUnstructured(run), options...)
	}
	for range 2 {
		run, err := apply(nil, client.DryRunAll)
		if err != nil {
			b.Fatal(err)
		}
		b.is(run, injected, "builder")
	}
	for range 3 {
		run, err := apply(nil)
		if err != nil {
			b.Fatal(err)
		}
		b.is(run, injected, "builder")
	}
	label := func(run *unstructured.Unstructured) { run.SetLabels(map[string]string{"new": "yes"}) }
	if run, err := apply(label); err != nil || run.GetLabels()["new"] != "yes" {
		b.Errorf("a label gives %v", err)
	}
	_, err := apply(func(run *unstructured.Unstructured) {
		run.Object["spec"].(map[string]any)["timeout"] = "2h"
	})
	if err == nil || !strings.Contains(err.Error(), "only status and statusMessage updates are allowed") {
		b.Errorf("another time-out gives %v", err)
	}
}

// testUntouched holds that updates are none of our business, and that Tekton,
// which refuses every change of a run's spec, takes them.
func (b *bed) testUntouched() {
	run := b.parse(kaniko("untouched", "v1"))
	b.create(run)
	calls := b.requests("/mutate")
	run.SetLabels(map[string]string{"a": "b"})
	if err := b.client.Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	if err := unstructured.SetNestedField(run.Object, "untouched-pod", "status", "podName"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Status().Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	if again := b.requests("/mutate") - calls; again != 0 {
		b.Errorf("the server was asked %v times about updates that leave the spec alone", again)
	}
	before := run.DeepCopy()
	if err := unstructured.SetNestedField(run.Object, "TaskRunCancelled", "spec", "status"); err != nil {
		b.Fatal(err)
	}
	if err := b.client.Update(b.Context(), run); err != nil {
		b.Fatalf("cancelling: %v", err)
	}
	unstructured.RemoveNestedField(run.Object, "spec", "status")
	if !reflect.DeepEqual(run.Object["spec"], before.Object["spec"]) {
		b.Errorf("cancelling made %v of %v", run.Object["spec"], before.Object["spec"])
	}
}

// testBundle is the trap of rules that list v1 alone: the API server would convert
// the object for us and back, and a local Task of the bundle's name would run.
func (b *bed) testBundle() {
	b.create(b.parse(
		"{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: bundled, namespace: ci}, spec: {steps: [{image: alpine}]}}"))
	run := b.parse(`
apiVersion: tekton.dev/v1beta1
kind: TaskRun
metadata: {generateName: bundle-, namespace: ci}
spec: {taskRef: {name: bundled, bundle: registry.example.com/bundle}}
`)
	if err := b.client.Create(b.Context(), run); err == nil || !strings.Contains(err.Error(), "bundle") {
		b.Errorf("a bundle gives %v, and the run refers to %v", err, run.Object["spec"])
	}
}

// testLocalTask looks a Task up that is a moment old, and one that the cache has.
func (b *bed) testLocalTask() {
	b.create(b.parse(`
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: local, namespace: ci}
spec:
  steps:
  - {name: fetch, image: alpine/git}
  - {name: build, image: "gcr.io/kaniko-project/executor:v1.24.0", args: [--no-push]}
`))
	for range 3 {
		run := b.parse(
			"{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {generateName: local-, namespace: ci}, spec: {taskRef: {name: local}}}")
		b.create(run)
		env, _, _ := unstructured.NestedSlice(run.Object, "spec", "podTemplate", "env")
		if fmt.Sprint(env) != "[map[name:DOCKER_CONFIG value:/tekton/creds/.docker]]" {
			b.Errorf("the podTemplate's env is %v", env)
		}
	}
}

// testStored holds that a Task is changed where Tekton's controller is about to
// run it, and nowhere else.
func (b *bed) testStored() {
	const task = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: stored, namespace: ci, annotations: {tekton.dev/signature: MEUC}}
spec: {steps: [{name: build, image: "gcr.io/kaniko-project/executor:v1.24.0", command: [/kaniko/executor]}]}
`
	has := func(object *unstructured.Unstructured) bool {
		return strings.Contains(fmt.Sprint(object.Object["spec"]), "DOCKER_CONFIG")
	}
	stored := b.parse(task)
	b.create(stored, client.DryRunAll)
	if has(stored) {
		b.Error("a Task was changed in a dry run of its author")
	}
	b.create(stored)
	if has(stored) {
		b.Error("a stored Task was changed")
	}
	resolved := b.parse(task)
	resolved.SetName("resolved")
	if err := b.controller().Create(b.Context(), resolved, client.DryRunAll); err != nil || !has(resolved) {
		b.Errorf("the controller's dry run gives %v, error %v", resolved.Object["spec"], err)
	}
	undry := b.parse(task)
	undry.SetName("undry")
	if err := b.controller().Create(b.Context(), undry); err != nil || has(undry) {
		b.Errorf("what the controller stores is %v, error %v", undry.Object["spec"], err)
	}
}
