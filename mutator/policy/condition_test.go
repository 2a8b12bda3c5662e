package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionapi "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
)

const ci = "ci"

// bench evaluates the conditions of the webhooks that are installed.
type bench struct {
	*testing.T
	conditions *cluster.Conditions
	hooks      map[string][]admissionv1.MatchCondition
	asked      int            // objects that rules had to do with
	quiet      int            // those that none had
	saved      map[string]int // quiet ones that were kept away, by webhook and condition
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, conditions: cluster.StartConditions(t), hooks: map[string][]admissionv1.MatchCondition{},
		saved: map[string]int{}}
	text, err := os.ReadFile("../../manifests/tekgate/500-webhooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var configuration admissionv1.MutatingWebhookConfiguration
		if err := yaml.Unmarshal([]byte(document), &configuration); err != nil {
			t.Fatal(err)
		}
		if configuration.Kind != "MutatingWebhookConfiguration" {
			continue
		}
		for _, hook := range configuration.Webhooks {
			b.hooks[hook.Name] = hook.MatchConditions
		}
	}
	return b
}

// TestConditions holds, for all cases of the rules with the configuration of each,
// that an object which a rule changes or warns about is asked about, by the API
// server's own code; and that each condition keeps some of the others away.
func TestConditions(t *testing.T) {
	b := newBench(t)
	cases := allCases(t)
	for _, c := range cases {
		b.try(c, c.config)
		// As it is installed, with what all cases have beside their rule.
		whole := c.config
		whole.Mutator = mutator.Default()
		b.try(c, whole)
		kept := c.config
		kept.Mutator.LocalTasks.Mode = mutator.TasksStored
		b.tryStored(c, kept)
	}
	b.report()
	for name, hook := range b.hooks {
		for _, condition := range hook {
			if key := name + " " + condition.Name; b.saved[key] == 0 {
				t.Errorf("%s keeps nothing away", key)
			}
		}
	}
}

// TestConditionsOfAnyConfiguration mixes the sections of the cases' configurations
// and what their objects hold, and breaks the shape of objects, too: conditions hold,
// and never fail.
func TestConditionsOfAnyConfiguration(t *testing.T) {
	b := newBench(t)
	cases := allCases(t)
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	rounds, valid := 400, 0
	for range rounds {
		config := mixed(random, cases)
		if _, err := mutator.New(config.Mutator, (&testCase{config: config}).mirror(t), nil); err != nil {
			continue
		}
		valid++
		for range 8 {
			c := cases[random.IntN(len(cases))]
			if random.IntN(2) == 0 {
				c.input = broken(t, random, c.input)
			}
			b.try(c, config)
		}
	}
	b.report()
	if valid < rounds/2 || b.asked < 500 || b.quiet < 500 {
		t.Errorf("%d of %d configurations were valid; %d objects were of interest and %d were not: too few of one of these",
			valid, rounds, b.asked, b.quiet)
	}
}

// TestConditionsAreCheap holds that the largest objects that are looked through cost
// less than the API server allows for, and that those beyond are asked about.
func TestConditionsAreCheap(t *testing.T) {
	b := newBench(t)
	for name, count := range map[string][3]int{"what is looked through": {10, 8, 128}, "more tasks": {11, 8, 128},
		"more steps": {10, 9, 128}, "longer names": {10, 8, 129}, "huge": {400, 50, 60}} {
		task := map[string]any{"steps": slices.Repeat([]any{map[string]any{"image": strings.Repeat("k", count[2]),
			"command": []any{strings.Repeat("/", count[2])}}}, count[1])}
		tasks := slices.Repeat([]any{map[string]any{"name": "a", "taskSpec": task}}, count[0])
		object := map[string]any{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
			"metadata": map[string]any{"name": "a"},
			"spec":     map[string]any{"pipelineSpec": map[string]any{"tasks": tasks, "finally": tasks}}}
		spaces := make([]string, 200)
		for i := range spaces {
			spaces[i] = fmt.Sprintf("%060d", i)
		}
		config := mutator.Default()
		for i := range 10 {
			config.DockerConfig.Builders.Images = append(config.DockerConfig.Builders.Images,
				fmt.Sprintf("registry.example.com/builders/a-long-name-of-a-builder-%d", i))
		}
		config.Kaniko.Scope = mutator.Scope{Except: &mutator.Match{Namespaces: []string{"other-*"}}}
		conditions, err := policy.Conditions(config, nil, spaces)
		if err != nil {
			t.Fatal(err)
		}
		answer := b.ask(wellknown.MutateRuns, conditions, cluster.Request{Operation: "CREATE", Namespace: ci,
			Resource: "pipelineruns", Object: object})
		if within := name == "what is looked through"; answer.Error != "" || answer.Matches == within {
			t.Errorf("%s: %+v", name, answer)
		}
	}
	many := make([]string, 201)
	conditions, err := policy.Conditions(mutator.Default(), nil, many)
	if err != nil {
		t.Fatal(err)
	}
	for name, expression := range conditions {
		if expression != wellknown.Always {
			t.Errorf("%s with 201 namespaces is %s", name, expression)
		}
	}
}

func (b *bench) report() {
	b.Helper()
	b.Logf("%d objects that rules had to do with, and %d that none had", b.asked, b.quiet)
	for _, key := range slices.Sorted(maps.Keys(b.saved)) {
		b.Logf("%s kept %d of these away", key, b.saved[key])
	}
}

// ask evaluates the conditions of a webhook, with those of a configuration in their
// places.
func (b *bench) ask(hook string, generated map[string]string, request cluster.Request) cluster.Answer {
	b.Helper()
	conditions := slices.Clone(b.hooks[hook])
	for i := range conditions {
		if conditions[i].Name == wellknown.MatchCondition {
			conditions[i].Expression = generated[hook]
		}
	}
	return b.conditions.Ask(b.T, conditions, request)
}

// try asks about a case's object what the API server would ask.
func (b *bench) try(c testCase, config file) {
	b.Helper()
	c.config = config
	var own []string
	if c.world.Namespace.Annotations[wellknown.MutatorKey] != "" {
		own = []string{ci}
	}
	generated, err := policy.Conditions(config.Mutator, c.mirror(b.T), own)
	if err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	kind := kindOf(b.T, c.input)
	request := cluster.Request{Operation: "CREATE", Namespace: ci, Resource: strings.ToLower(kind.Kind) + "s",
		Object: decode(b.T, c.input)}
	hook := wellknown.MutateRuns
	switch kind.Kind {
	case "Task", "Pipeline", "StepAction":
		hook, request.DryRun, request.User = wellknown.MutateResolved, c.world.Resolved,
			mutator.ControllerOf("tekton-pipelines")
	case "Pod":
		hook = wellknown.MutatePods
	}
	if hook == wellknown.MutateResolved && !c.world.Resolved {
		b.count(c.name, hook, generated, request, false) // the server does nothing about it
		b.tryStored(c, config)
		return
	}
	out, err := c.mutator(b.T).Mutate(b.Context(), mutator.Request{Kind: kind, Namespace: ci, Raw: c.input,
		Resolved: c.world.Resolved})
	if err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	b.count(c.name, hook, generated, request, len(out.Patch)+len(out.Warnings) > 0)
	if hook == wellknown.MutateRuns {
		b.reapply(c, generated, request, out)
	}
}

// tryStored asks about a Task, Pipeline or StepAction when it is stored, applied once more, and
// signed then.
func (b *bench) tryStored(c testCase, config file) {
	b.Helper()
	c.config = config
	if !slices.Contains([]string{"Task", "Pipeline", "StepAction"}, kindOf(b.T, c.input).Kind) {
		return
	}
	var own []string
	if c.world.Namespace.Annotations[wellknown.MutatorKey] != "" {
		own = []string{ci}
	}
	generated, err := policy.Conditions(config.Mutator, c.mirror(b.T), own)
	if err != nil {
		b.Fatalf("%s: %v", c.name, err)
	}
	m := c.mutator(b.T)
	live := b.storing(m, c.name+", stored", generated, nil, decode(b.T, c.input))
	again := decode(b.T, c.input)
	for _, note := range []string{wellknown.MutatedKey, wellknown.OriginalImagesKey} {
		if text, has, _ := unstructured.NestedString(live, "metadata", "annotations", note); has {
			_ = unstructured.SetNestedField(again, text, "metadata", "annotations", note) // odd metadata stays as it is
		}
	}
	b.storing(m, c.name+", stored again", generated, live, again)
	signed := runtime.DeepCopyJSON(again)
	_ = unstructured.SetNestedField(signed, "MEUC", "metadata", "annotations", "tekton.dev/signature")
	b.storing(m, c.name+", signed", generated, live, signed)
	_ = unstructured.SetNestedField(again, "2026-11-29T15:00:00Z", "metadata", "deletionTimestamp")
	request := b.request(again, live)
	b.count(c.name+", deleted", wellknown.MutateStored, generated, request, false)
	request.DryRun, request.User = true, mutator.ControllerOf("tekton-pipelines")
	b.count(c.name+", in a dry run", wellknown.MutateStored, generated, request, false)
}

// storing asks about an object that takes the place of another, and returns what is stored.
func (b *bench) storing(m *mutator.Mutator, name string, generated map[string]string, old, fresh map[string]any,
) map[string]any {
	b.Helper()
	raw, err := json.Marshal(fresh)
	if err != nil {
		b.Fatal(err)
	}
	review := admission.Request{AdmissionRequest: admissionapi.AdmissionRequest{Namespace: ci,
		Kind: metav1.GroupVersionKind(kindOf(b.T, raw)), Operation: admissionapi.Create,
		Object: runtime.RawExtension{Raw: raw}}}
	if old != nil {
		review.Operation = admissionapi.Update
		if review.OldObject.Raw, err = json.Marshal(old); err != nil {
			b.Fatal(err)
		}
	}
	res := m.Handle(b.Context(), review)
	b.count(name, wellknown.MutateStored, generated, b.request(fresh, old), len(res.Patch)+len(res.Warnings) > 0)
	if len(res.Patch) == 0 {
		return fresh
	}
	patch, err := jsonpatch.DecodePatch(res.Patch)
	if err != nil {
		b.Fatal(err)
	}
	if raw, err = patch.Apply(raw); err != nil {
		b.Fatal(err)
	}
	return decode(b.T, raw)
}

// request is what the API server asks when an object is stored in place of another.
func (b *bench) request(fresh, old map[string]any) cluster.Request {
	b.Helper()
	kind, _ := fresh["kind"].(string)
	request := cluster.Request{Operation: "CREATE", Namespace: ci, Resource: strings.ToLower(kind) + "s",
		User: "author", Object: fresh}
	if old != nil {
		request.Operation, request.Old = "UPDATE", old
	}
	return request
}

// reapply asks about an update that takes away what was added, and about one that
// changes nothing.
func (b *bench) reapply(c testCase, generated map[string]string, request cluster.Request, out mutator.Outcome) {
	b.Helper()
	text, err := json.Marshal(out.Object)
	if err != nil {
		b.Fatal(err)
	}
	request.Operation, request.Old = "UPDATE", decode(b.T, text)
	b.count(c.name+", applied again", wellknown.MutateReapplied, generated, request,
		!reflect.DeepEqual(request.Object["spec"], request.Old["spec"]))
	request.Object, request.Old = decode(b.T, text), decode(b.T, text)
	if spec, ok := request.Object["spec"].(map[string]any); ok {
		spec["status"] = "Cancelled"
	}
	b.count(c.name+", cancelled", wellknown.MutateReapplied, generated, request, false)
	request.Old = request.Object
	b.count(c.name+", updated", wellknown.MutateReapplied, generated, request, false)
}

func (b *bench) count(name, hook string, generated map[string]string, request cluster.Request, wanted bool) {
	b.Helper()
	answer := b.ask(hook, generated, request)
	switch {
	case answer.Error != "":
		text, _ := json.Marshal(request.Object)
		b.Fatalf("%s, %s: %s\n%s", name, hook, answer.Error, text)
	case wanted && !answer.Matches:
		text, _ := json.Marshal(request.Object)
		b.Errorf("%s, %s: kept away by %s, though rules have to do with it:\n%s\n%s", name, hook, answer.By,
			generated[hook], text)
	case wanted:
		b.asked++
	default:
		b.quiet++
		if answer.By != "" {
			b.saved[hook+" "+answer.By]++
		}
	}
}

// allCases are those of all rules' folders, and some that have nothing for rules.
func allCases(t *testing.T) []testCase {
	t.Helper()
	var cases []testCase
	for _, folder := range folders(t) {
		cases = append(cases, load(t, folder))
	}
	for name, text := range quietObjects {
		c := testCase{name: name, rule: "quiet", input: golden.JSON(t, []byte(text)),
			config: file{Mutator: mutator.Default()}}
		c.world.Resolved = strings.Contains(name, "resolved")
		cases = append(cases, c)
	}
	slices.SortFunc(cases, func(a, b testCase) int { return strings.Compare(a.name, b.name) })
	return cases
}

// quietObjects are what a cluster is full of.
var quietObjects = map[string]string{
	"TaskRun that tests":    `{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: a}, spec: {taskSpec: {steps: [{image: "golang:1.26", command: [go, test]}]}}}`,
	"TaskRun of a bundle":   `{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: a}, spec: {taskRef: {resolver: bundles, params: [{name: name, value: a}]}}}`,
	"PipelineRun by name":   `{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: a}, spec: {pipelineRef: {name: a}}}`,
	"resolved Task":         `{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: a}, spec: {steps: [{image: alpine, script: "echo docker"}]}}`,
	"resolved Pipeline":     `{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: a}, spec: {tasks: [{name: a, taskRef: {name: a}}]}}`,
	"resolved, opted out":   `{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: a, annotations: {tekgate.dev/mutate: disabled}}, spec: {steps: [{image: docker}]}}`,
	"TaskRun, opted out":    `{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: a, annotations: {tekgate.dev/mutate: disabled}}, spec: {taskSpec: {steps: [{image: docker}]}}}`,
	"Pod, opted out":        `{apiVersion: v1, kind: Pod, metadata: {name: a, annotations: {tekgate.dev/mutate: disabled}}, spec: {containers: [{name: step-a, image: docker}]}}`,
	"Pod of a step":         `{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: step-a, image: alpine, command: [/tekton/bin/entrypoint], args: ["-entrypoint", /bin/sh, "--", "-c", "true"]}]}}`,
	"StepAction, resolved":  `{apiVersion: tekton.dev/v1beta1, kind: StepAction, metadata: {name: a}, spec: {image: alpine, script: "true"}}`,
	"PipelineRun that asks": `{apiVersion: tekton.dev/v1, kind: PipelineRun, metadata: {name: a, annotations: {tekgate.dev/probe: "1", tekgate.dev/mutate: disabled}}, spec: {pipelineRef: {name: a}}}`,
}

// mixed is a configuration whose sections come from those of some cases.
func mixed(random *rand.Rand, cases []testCase) file {
	pick := func() *testCase { return &cases[random.IntN(len(cases))] }
	config := file{Mutator: mutator.Config{
		ServiceAccount: pick().config.Mutator.ServiceAccount, DockerConfig: pick().config.Mutator.DockerConfig,
		Kaniko: pick().config.Mutator.Kaniko,
		Env:    pick().config.Mutator.Env, Resources: pick().config.Mutator.Resources,
		ImagePullSecrets: pick().config.Mutator.ImagePullSecrets,
		PodTemplate:      pick().config.Mutator.PodTemplate,
		LocalTasks:       localTasks(random),
	}}
	mirror := pick()
	config.Mirror, config.Mutator.ImageMirror = mirror.config.Mirror, mirror.config.Mutator.ImageMirror
	for id, scope := range scopes(&config.Mutator) {
		switch random.IntN(6) {
		case 0:
			scope.Disabled = true
		case 1, 2:
			scope.Disabled = false
		case 3:
			scope.Only = &mutator.Match{Namespaces: []string{[]string{"c*", "team-?", "[a-d]i"}[random.IntN(3)]}}
		case 4:
			scope.Except = &mutator.Match{Namespaces: []string{"c?", "x"}[:1+random.IntN(2)]}
			if id == "kaniko" || id == "env" {
				scope.Except.Images = []string{"docker.io/**"}
			}
		}
	}
	return config
}

// localTasks changes what is stored in half of the cases, and in some of the namespaces.
func localTasks(random *rand.Rand) mutator.LocalTasks {
	local := mutator.LocalTasks{}
	if random.IntN(2) == 0 {
		local.Mode = mutator.TasksStored
	}
	switch random.IntN(5) {
	case 0:
		local.Disabled = true
	case 1:
		local.Only = &mutator.Match{Namespaces: []string{[]string{"c*", "team-?", "[a-d]i"}[random.IntN(3)]}}
	case 2:
		local.Only = &mutator.Match{Labels: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}}
	}
	return local
}

// broken is an object in which a value was put in the place of another, below spec:
// the API server sees to the rest.
func broken(t *testing.T, random *rand.Rand, raw []byte) []byte {
	t.Helper()
	object := decode(t, raw)
	var places []func(any)
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				places = append(places, func(odd any) { value[key] = odd })
				walk(value[key])
			}
		case []any:
			for i := range value {
				places = append(places, func(odd any) { value[i] = odd })
				walk(value[i])
			}
		}
	}
	places = append(places, func(odd any) { object["spec"] = odd }, func(any) { delete(object, "spec") })
	walk(object["spec"])
	odd := []any{nil, "", "docker", "$(params.a)", int64(7), true, []any{}, []any{nil}, []any{"ko"}, map[string]any{},
		map[string]any{"image": "docker"}}
	for range 1 + random.IntN(2) {
		places[random.IntN(len(places))](runtime.DeepCopyJSONValue(odd[random.IntN(len(odd))]))
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	return object
}
