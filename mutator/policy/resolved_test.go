package policy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
)

// fetchable are objects that a resolver may fetch, each with an opt-out, which does not
// count for what was fetched: see mutator.pass.optOut.
var fetchable = map[string]string{
	"Task v1":             `{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: a, annotations: {tekgate.dev/mutate: disabled}}, spec: {stepTemplate: {image: node}, steps: [{name: build, image: "ghcr.io/osscontainertools/kaniko:v1.28.3"}, {name: test}], sidecars: [{name: a, image: redis}]}}`,
	"Task v1beta1":        `{apiVersion: tekton.dev/v1beta1, kind: Task, metadata: {name: a, annotations: {tekgate.dev/skip-rules: "env,image-mirror"}}, spec: {steps: [{name: build, image: node}]}}`,
	"Pipeline v1":         `{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: a, annotations: {tekton.dev/signature: c2lnbmF0dXJl}}, spec: {tasks: [{name: a, taskSpec: {steps: [{name: build, image: node}]}}], finally: [{name: b, taskSpec: {steps: [{name: build, image: golang}], sidecars: [{name: a, image: redis}]}}]}}`,
	"Pipeline v1beta1":    `{apiVersion: tekton.dev/v1beta1, kind: Pipeline, metadata: {name: a}, spec: {tasks: [{name: a, taskRef: {name: b}}, {name: b, taskSpec: {steps: [{name: build, image: node}]}}]}}`,
	"StepAction v1beta1":  `{apiVersion: tekton.dev/v1beta1, kind: StepAction, metadata: {name: a, annotations: {tekgate.dev/mutate: disabled}}, spec: {image: gcr.io/kaniko-project/executor, args: [--context=.]}}`,
	"StepAction v1alpha1": `{apiVersion: tekton.dev/v1alpha1, kind: StepAction, metadata: {name: a}, spec: {image: node, script: make}}`,
}

// TestFetched holds that policies change what Tekton's controller creates by a dry run, as
// the mutator does, and neither what anybody else creates by a dry run nor what is stored,
// by the controller or anybody else.
func TestFetched(t *testing.T) {
	b := newBed(t)
	c := b.prepared(exportable, "fetched")
	set := c.set(t)
	b.enforce(set)
	for name, text := range fetchable {
		t.Run(name, func(t *testing.T) {
			at, c := *b, c
			at.T, c.input = t, golden.JSON(t, []byte(text))
			got := at.compare(t, c, set)
			untouched, err := at.sent(c.input, off)
			if err != nil {
				t.Fatal(err)
			}
			if same(got, untouched) == "" {
				t.Error("the policies change nothing in the controller's dry run")
			}
			dry, err := at.sentBy(at.client, c.input, c.space)
			if err != nil || same(dry, untouched) != "" {
				t.Errorf("a dry run of an administrator: error %v\n%s", err, same(dry, untouched))
			}
			for user, by := range map[string]client.Client{"administrator": at.client,
				"controller": at.controller} {
				if diff := same(at.stored(by, c.input, c.space), untouched); diff != "" {
					t.Errorf("what the %s stores:\n%s", user, diff)
				}
			}
		})
	}
}

// stored creates an object, removes it, and returns what was stored.
func (b *bed) stored(user client.Client, raw []byte, namespace string) map[string]any {
	b.Helper()
	obj := &unstructured.Unstructured{Object: decode(b.T, raw)}
	obj.SetNamespace(namespace)
	if err := user.Create(b.Context(), obj); err != nil {
		b.Fatal(err)
	}
	if err := user.Get(b.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		b.Fatal(err)
	}
	if err := user.Delete(b.Context(), obj.DeepCopy()); err != nil {
		b.Fatal(err)
	}
	return obj.Object
}

// TestOtherController holds that the dry runs are those of the user that the export names.
func TestOtherController(t *testing.T) {
	b := newBed(t)
	c := b.prepared(exportable, "controller")
	c.input = golden.JSON(t, []byte(fetchable["Task v1"]))
	other := mutator.ControllerOf("ci")
	set, err := policy.Compile(policy.Input{Config: c.config.Mutator, Mirror: c.mirror(t), Namespaces: namespaces(),
		Controller: other})
	if err != nil {
		t.Fatal(err)
	}
	b.enforce(set)
	untouched, err := b.sent(c.input, off)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.sent(c.input, c.space); err != nil || same(got, untouched) != "" {
		t.Errorf("a dry run of the controller in tekton-pipelines: error %v\n%s", err, same(got, untouched))
	}
	b.controller = as(t, b.config, other)
	b.compare(t, c, set)
}

// TestIdentityNearby holds that one ServiceAccount with a workload identity keeps
// docker-config away from what is fetched, however many others the policy is evaluated
// for, and in whatever order; and that other variables of the steps stay.
func TestIdentityNearby(t *testing.T) {
	b := newBed(t)
	c := b.prepared(exportable, "identity")
	c.input = golden.JSON(t, []byte(`{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: a}, spec: {steps: [
		{name: build-1, image: gcr.io/kaniko-project/executor}, {name: push, image: gcr.io/go-containerregistry/crane},
		{name: own, image: gcr.io/kaniko-project/executor, env: [{name: DOCKER_CONFIG, value: /mine}]},
		{name: last, image: "quay.io/buildah/stable", env: [{name: A, value: b}]}]}}`))
	for i := range 4 {
		name := fmt.Sprintf("account-%d", i)
		c.world.ServiceAccounts[name] = mutator.Account{}
		b.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: c.space}})
	}
	with := c
	with.space = "identity-there"
	with.world.ServiceAccounts = maps.Clone(c.world.ServiceAccounts)
	with.world.ServiceAccounts["cloud"] = mutator.Account{
		Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/push"}}
	b.world(with.space, with.world)
	set := c.set(t)
	for _, set := range []*policy.Set{set, twice(set)} {
		b.enforce(set)
		if got := b.compare(t, c, set); strings.Count(text(t, got["spec"]), "DOCKER_CONFIG") != 4 {
			t.Errorf("without an identity: %s", text(t, got))
		}
		for range 20 {
			if got := b.compare(t, with, set); strings.Count(text(t, got["spec"]), "DOCKER_CONFIG") != 1 {
				t.Fatalf("with an identity: %s", text(t, got))
			}
		}
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestTooLarge holds that a rule changes all steps of an object or, where that would
// cost more than the API server allows, none; and that the others still change it.
func TestTooLarge(t *testing.T) {
	b := newBed(t)
	c := b.prepared(exportable, "large")
	set := c.set(t)
	b.enforce(set)
	marks := map[string]string{"image-mirror": `"image":"mirror.example.com/`, "resources": `"computeResources":`,
		"env": `"GOPROXY"`, "docker-config": `"DOCKER_CONFIG"`}
	least := 0
	for _, size := range []int{100, 200, 400, 800} {
		for kind, raw := range manySteps(t, size) {
			got, err := b.sent(raw, c.space)
			if err != nil {
				t.Fatal(err)
			}
			done := 0
			for rule, mark := range marks {
				switch n := strings.Count(text(t, got["spec"]), mark); n {
				case size:
					done++
				case 0:
					t.Logf("%s of %d steps: %s is left out", kind, size, rule)
				default:
					t.Errorf("%s of %d steps: %s changes %d of them", kind, size, rule, n)
				}
			}
			if size == 100 && done < len(marks) {
				t.Errorf("%s of 100 steps: %d of %d rules change it", kind, done, len(marks))
			}
			least = max(least, len(marks)-done)
			if kind == "TaskRun" && !strings.Contains(text(t, got), `"ndots"`) {
				t.Errorf("TaskRun of %d steps: pod-template does not change it", size)
			}
		}
	}
	if least == 0 {
		t.Error("no object was too large, so the limit was not tried")
	}
}

// manySteps returns a TaskRun and a Task.
func manySteps(t *testing.T, count int) map[string][]byte {
	t.Helper()
	var steps []any
	for i := range count {
		steps = append(steps, map[string]any{"name": fmt.Sprintf("build-%d", i),
			"image": fmt.Sprintf("ghcr.io/osscontainertools/kaniko:v1.28.%d", i%20),
			"env": []any{map[string]any{"name": "A", "value": "a"}, map[string]any{"name": "B", "value": "b"},
				map[string]any{"name": "C", "value": "c"}}})
	}
	task := map[string]any{"steps": steps}
	objects := map[string][]byte{}
	for kind, spec := range map[string]any{"TaskRun": map[string]any{"taskSpec": task}, "Task": task} {
		objects[kind] = []byte(text(t, map[string]any{"apiVersion": "tekton.dev/v1", "kind": kind,
			"metadata": map[string]any{"name": "large"}, "spec": spec}))
	}
	return objects
}

// TestForm holds what the behaviour of the API server demands of every policy: one
// mutation, since of several the first stays when another fails; every version by its
// name, since a conversion loses fields; and no evaluation that refuses an object.
func TestForm(t *testing.T) {
	c := testCase{name: "form", config: file{Mutator: mutator.Default()}}
	c.parse(t, exportable)
	set := c.set(t)
	var resolved []string
	for _, p := range set.Policies {
		rule := p.Spec.MatchConstraints.ResourceRules[0]
		if len(p.Spec.MatchConstraints.ResourceRules) != 1 ||
			!slices.Equal(rule.APIVersions, []string{"v1", "v1beta1", "v1alpha1"}) ||
			!slices.Equal(rule.Operations, []admissionv1.OperationType{admissionv1.Create}) {
			t.Errorf("%s is for %+v", p.Name, p.Spec.MatchConstraints.ResourceRules)
		}
		if len(p.Spec.Mutations) != 1 || *p.Spec.FailurePolicy != admissionv1.Ignore ||
			p.Spec.ReinvocationPolicy != admissionv1.IfNeededReinvocationPolicy {
			t.Errorf("%s has %d mutations, failurePolicy %s, reinvocationPolicy %s", p.Name, len(p.Spec.Mutations),
				*p.Spec.FailurePolicy, p.Spec.ReinvocationPolicy)
		}
		dry := slices.ContainsFunc(p.Spec.MatchConditions, func(m admissionv1.MatchCondition) bool {
			return m.Name == "controller-dry-run"
		})
		runs := slices.Equal(rule.Resources, []string{"taskruns", "pipelineruns"})
		if dry == runs {
			t.Errorf("%s is for %v, and limited to dry runs: %t", p.Name, rule.Resources, dry)
		}
		if !runs {
			resolved = append(resolved, p.Name+" "+strings.Join(rule.Resources, ","))
		}
	}
	want := []string{"tekgate-resolved-docker-config tasks,pipelines,stepactions",
		"tekgate-resolved-env tasks,pipelines,stepactions", "tekgate-resolved-resources tasks,pipelines",
		"tekgate-resolved-image-mirror tasks,pipelines,stepactions"}
	if !slices.Equal(resolved, want) {
		t.Errorf("for dry runs there are %q, want %q", resolved, want)
	}
}
