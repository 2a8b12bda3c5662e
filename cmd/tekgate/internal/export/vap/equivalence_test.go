package vap_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/export/vap"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// configuration switches on every rule that can be exported, and some rules of its own.
const configuration = `
policy: {security: {accounts: {allowed: [builder, 'deploy-*']}}}
custom:
- id: team-label
  kinds: [TaskRun, PipelineRun, Task, Pipeline, StepAction]
  expression: has(object.metadata.labels) && 'team' in object.metadata.labels // or nobody answers for it
  message: add a label team
- id: few-params
  kinds: [TaskRun, PipelineRun, Task]
  expression: |
    !has(object.spec.params) ||
    object.spec.params.all(p, p.name.lowerAscii() == p.name && size(p.name) < 10)
  message: rename it
  messageExpression: "'rename a param of ' + object.metadata.name"
- {id: fails, kinds: [TaskRun], expression: object.spec.serviceAccountName.startsWith('b'), message: it fails for those without}
- {id: old-lists, kinds: [Task], expression: "object.spec.steps.map(s, s.name).distinct().size() == object.spec.steps.size()", message: twice}
`

const wantedRules = "privileged dangerous-capability unconfined host-network default-service-account service-account-forbidden " +
	"run-in-default-namespace team-label few-params fails old-lists"

// bed is a real API server with Tekton's kinds, on which each rule has a namespace of its own.
type bed struct {
	*testing.T
	client client.Client
	config validator.Config
	rules  map[string]*validator.Rule
	spaces map[string]string // by rule
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	settings := rest.CopyConfig(cluster.StartEmpty(t).Config)
	settings.QPS = -1
	c, err := client.New(settings, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.InstallCRDs(
		t.Context(),
		c,
		"github.com/tektoncd/pipeline",
		"config/300-crds/300-taskrun.yaml",
		"config/300-crds/300-pipelinerun.yaml",
		"config/300-crds/300-task.yaml",
		"config/300-crds/300-pipeline.yaml",
		"config/300-crds/300-stepaction.yaml",
	); err != nil {
		t.Fatal(err)
	}
	b := &bed{
		T:      t,
		client: c,
		config: configured(t),
		rules:  map[string]*validator.Rule{},
		spaces: map[string]string{},
	}
	all, err := b.config.AllRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(wantedRules) {
		b.rules[id] = all[slices.IndexFunc(all, func(r *validator.Rule) bool { return r.ID == id })]
		b.spaces[id] = "space-" + id
		if id == "run-in-default-namespace" {
			b.spaces[id] = "default"
			continue
		}
		b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.spaces[id]}})
	}
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "off"}})
	return b
}

func configured(t *testing.T) validator.Config {
	t.Helper()
	config := validator.Default()
	if err := strict.UnmarshalYAML([]byte(configuration), &config); err != nil {
		t.Fatal(err)
	}
	config.Rules = map[string]validator.RuleConfig{}
	for _, id := range strings.Fields(wantedRules) {
		config.Rules[id] = validator.RuleConfig{Mode: validator.Enforce}
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	return config
}

func (b *bed) create(obj client.Object) {
	b.Helper()
	if err := b.client.Create(b.Context(), obj); err != nil {
		b.Fatalf("creating %s: %v", obj.GetName(), err)
	}
}

const controller = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"

// enforce installs the policies of all rules, each in the namespace of its rule, and waits until
// they are in force: one more policy, installed last, refuses everything in a namespace of its own.
func (b *bed) enforce() *vap.Set {
	b.Helper()
	set, err := vap.Compile(vap.Input{Config: b.config, Controller: controller})
	if err != nil {
		b.Fatal(err)
	}
	for i := range set.Policies {
		id := strings.TrimSuffix(strings.TrimPrefix(set.Policies[i].Name, "tekgate-"), "-enforce")
		if b.spaces[id] == "" {
			continue
		}
		p, binding := set.Policies[i].DeepCopy(), set.Bindings[i].DeepCopy()
		binding.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: named(b.spaces[id])}
		b.create(p)
		b.create(binding)
	}
	b.sentinel(set)
	return set
}

func named(space string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": space}}
}

func (b *bed) sentinel(set *vap.Set) {
	b.Helper()
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "sentinel"}})
	p, binding := set.Policies[0].DeepCopy(), set.Bindings[0].DeepCopy()
	p.Name, binding.Name, binding.Spec.PolicyName = "zz-sentinel", "zz-sentinel", "zz-sentinel"
	p.Spec.MatchConditions = nil
	p.Spec.Validations = []admissionv1.Validation{{Expression: "false"}}
	p.Spec.MatchConstraints.ResourceRules[0].Resources = []string{"taskruns"}
	p.Spec.MatchConstraints.ResourceRules[0].APIVersions = []string{"v1"}
	binding.Spec.MatchResources = &admissionv1.MatchResources{NamespaceSelector: named("sentinel")}
	b.create(p)
	b.create(binding)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := b.client.Create(b.Context(), taskRun("sentinel", map[string]any{}), client.DryRunAll)
		if err != nil && strings.Contains(err.Error(), "zz-sentinel") {
			return
		}
		if time.Now().After(end) {
			b.Fatalf("the policies do not come into force: %v", err)
		}
	}
}

func taskRun(space string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
		"metadata": map[string]any{"name": "x", "namespace": space}, "spec": spec}}
}

// send creates an object in a dry run, and reports whether a policy refuses it; ok is false for
// one that the API server refuses anyway.
func (b *bed) send(fields map[string]any, space string) (refused, ok bool, err error) {
	b.Helper()
	obj := (&unstructured.Unstructured{Object: fields}).DeepCopy()
	obj.SetNamespace(space)
	if obj.GetName() == "" && obj.GetGenerateName() == "" {
		obj.SetName("unnamed")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		err = b.client.Create(b.Context(), obj.DeepCopy(), client.DryRunAll)
		if !apierrors.IsServiceUnavailable(err) || time.Now().After(end) {
			break
		}
	}
	switch {
	case err == nil:
		return false, true, nil
	case strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'tekgate-"):
		return true, true, err
	}
	return false, false, err
}

// verdict reports whether the rule refuses an object.
func (b *bed) verdict(id string, fields map[string]any) bool {
	b.Helper()
	raw, err := json.Marshal(fields)
	if err != nil {
		b.Fatal(err)
	}
	decoded, err := object.Decode(raw)
	if err != nil {
		b.Fatal(err)
	}
	v := &validator.Validator{Config: b.config, Rules: []*validator.Rule{b.rules[id]}}
	kind := (&unstructured.Unstructured{Object: fields}).GroupVersionKind()
	out := v.Judge(
		b.Context(),
		validator.Subject{Kind: kind, Namespace: b.spaces[id], Fields: decoded, Request: &validator.Request{}},
	)
	return slices.ContainsFunc(
		out.Findings,
		func(f validator.Finding) bool { return f.Rule == id && f.Mode == validator.Enforce },
	)
}

// TestEquivalence holds each exported policy to its rule, on a real API server: for every object of
// the validator's own cases and for generated ones the verdicts are the same.
func TestEquivalence(t *testing.T) {
	b := newBed(t)
	set := b.enforce()
	for _, id := range strings.Fields(wantedRules) {
		if !slices.ContainsFunc(set.Policies, func(p admissionv1.ValidatingAdmissionPolicy) bool {
			return p.Name == "tekgate-"+id+"-enforce"
		}) {
			t.Fatalf("the rule %s is not exported: %v", id, set.Remainder)
		}
	}
	all := slices.Concat(cases(t), generated())
	if different := b.compare(all); len(different) > 0 {
		t.Errorf("%d differences:\n%s", len(different), strings.Join(different[:min(len(different), 20)], "\n"))
	}
	b.exceptions()
	b.updates()
}

// compare sends every object to the namespace of every rule, and returns where the verdicts differ.
func (b *bed) compare(all []map[string]any) (different []string) {
	b.Helper()
	seen := map[string][2]int{}
	skipped := 0
	for _, fields := range all {
		kind := (&unstructured.Unstructured{Object: fields}).GroupVersionKind()
		if _, ok, _ := b.send(fields, "off"); !ok {
			skipped++
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(b.rules)) {
			if !b.rules[id].Handles(kind) {
				continue
			}
			want := b.verdict(id, fields)
			got, _, err := b.send(fields, b.spaces[id])
			n := seen[id]
			if want {
				n[1]++
			} else {
				n[0]++
			}
			seen[id] = n
			if got != want {
				text, _ := json.Marshal(fields)
				different = append(
					different,
					fmt.Sprintf("%s: the policy refuses: %v, the rule: %v (%v) %.600s", id, got, want, err, text),
				)
			}
		}
	}
	b.Logf(
		"%d objects, %d that the API server refuses anyway; accepted and refused by rule: %v",
		len(all),
		skipped,
		seen,
	)
	for id, n := range seen {
		if n[1] < 5 || n[0] < 5 && id != "run-in-default-namespace" {
			b.Errorf("%s was compared for %d objects that it accepts and %d that it refuses", id, n[0], n[1])
		}
	}
	return different
}

// cases are the objects of all cases of the validator, about Pipelines' kinds that are served.
func cases(t *testing.T) []map[string]any {
	t.Helper()
	files, err := filepath.Glob("../../../../../validator/testdata/*/*/object.yaml")
	if err != nil || len(files) < 300 {
		t.Fatalf("found %d cases, error %v", len(files), err)
	}
	var all []map[string]any
	for _, file := range files {
		fields := read(t, file)
		obj := unstructured.Unstructured{Object: fields}
		if gvk := obj.GroupVersionKind(); gvk.Group == "tekton.dev" &&
			(gvk.Version != "v1alpha1" || gvk.Kind == "StepAction") {
			obj.SetNamespace("")
			all = append(all, fields)
		}
	}
	return all
}

// exceptions holds that an annotation counts for the policy if, and only if, it does for the rule.
func (b *bed) exceptions() {
	b.Helper()
	today := time.Now().UTC()
	day := func(days int) string { return today.AddDate(0, 0, days).Format(time.DateOnly) }
	for _, text := range []string{day(0) + " moving", day(1) + ": moving", day(-1) + " moving", day(30),
		day(30) + " ", " " + day(30) + "  moving ",
		"2027-02-31 moving", "2096-02-29 moving", "2097-02-29 moving", "2100-02-29 moving", "2400-02-29 moving", "2097-13-01 moving", "soon moving", "", "2097-1-01 moving",
		day(30) + ":: moving", day(30) + "x moving"} {
		run := taskRun("", map[string]any{})
		run.SetAnnotations(map[string]string{"except.tekgate.dev/team-label": text})
		want := b.verdict("team-label", run.Object)
		if got, _, err := b.send(run.Object, b.spaces["team-label"]); got != want {
			b.Errorf("exception %q: the policy refuses: %v, the rule: %v (%v)", text, got, want, err)
		}
	}
}

// updates holds that an update is refused for what it makes wrong, and not for what was wrong.
func (b *bed) updates() {
	b.Helper()
	space := b.spaces["team-label"]
	run := taskRun("off", map[string]any{"params": []any{}})
	run.SetNamespace(space)
	run.SetLabels(map[string]string{"team": "a"})
	b.create(run)
	change := func(labels map[string]string, retries int64) error {
		run.SetLabels(labels)
		if err := unstructured.SetNestedField(run.Object, retries, "spec", "retries"); err != nil {
			b.Fatal(err)
		}
		return b.client.Update(b.Context(), run.DeepCopy(), client.DryRunAll)
	}
	if err := change(map[string]string{"team": "b"}, 1); err != nil {
		b.Errorf("a good update: %v", err)
	}
	if err := change(nil, 1); err == nil || !strings.Contains(err.Error(), "add a label team (rule team-label)") {
		b.Errorf("a bad update: %v", err)
	}
	run.SetLabels(nil)
	unstructured.RemoveNestedField(run.Object, "spec", "retries")
	if err := b.client.Update(b.Context(), run.DeepCopy(), client.DryRunAll); err != nil {
		b.Errorf("an update of labels alone, which the webhook is not asked about: %v", err)
	}
}

func read(t *testing.T, file string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal(readFile(t, file), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}
