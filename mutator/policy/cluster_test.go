package policy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
)

// off is a Namespace that has opted out: what is created there comes back as the API
// server stores it, pruned, and untouched by policies.
const off = "off"

// bed is a real API server with Tekton's kinds.
type bed struct {
	*testing.T
	client     client.Client
	controller client.Client // of Tekton's controller, which fetches Tasks
	config     *rest.Config
	installed  []client.Object // policies and bindings
	round      int
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	config := rest.CopyConfig(cluster.StartEmpty(t).Config)
	config.QPS = -1
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{T: t, client: c, config: config, controller: as(t, config, mutator.ControllerOf("tekton-pipelines"))}
	if err := cluster.InstallCRDs(t.Context(), c, "github.com/tektoncd/pipeline", "config/300-crds/300-taskrun.yaml",
		"config/300-crds/300-pipelinerun.yaml", "config/300-crds/300-task.yaml",
		"config/300-crds/300-pipeline.yaml", "config/300-crds/300-stepaction.yaml"); err != nil {
		t.Fatal(err)
	}
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: off,
		Labels: map[string]string{wellknown.MutateKey: wellknown.Disabled}}})
	b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "probe",
		Labels: map[string]string{"probe": "true"}}})
	return b
}

// as returns the client of a user who may do everything.
func as(t *testing.T, config *rest.Config, user string) client.Client {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (b *bed) create(obj client.Object) {
	b.Helper()
	if err := b.client.Create(b.Context(), obj); err != nil {
		b.Fatalf("creating %s: %v", obj.GetName(), err)
	}
}

func (b *bed) eventually(what string, try func() error) {
	b.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// enforce puts sets in the place of those before them, and waits until the API
// server goes by them: a policy of the test's own, which comes last, then writes the
// number of the round. The API server takes up to a second for that.
func (b *bed) enforce(sets ...*policy.Set) {
	b.Helper()
	for _, obj := range b.installed {
		if err := b.client.Delete(b.Context(), obj); err != nil {
			b.Fatal(err)
		}
	}
	b.installed = nil
	b.round++
	for _, set := range sets {
		for i := range set.Policies {
			b.install(set.Policies[i].DeepCopy())
		}
		for i := range set.Bindings {
			b.install(set.Bindings[i].DeepCopy())
		}
	}
	p, binding := marker(b.round)
	b.install(p)
	b.install(binding)
	b.eventually("the policies are in force", func() error {
		probe := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "tekton.dev/v1", "kind": "TaskRun",
			"metadata": map[string]any{"name": "probe", "namespace": "probe"}, "spec": map[string]any{},
		}}
		if err := b.client.Create(b.Context(), probe, client.DryRunAll); err != nil {
			return err
		}
		if got := probe.GetAnnotations()["round"]; got != fmt.Sprint(b.round) {
			return fmt.Errorf("round %q, want %d", got, b.round)
		}
		return nil
	})
}

func (b *bed) install(obj client.Object) {
	b.Helper()
	b.create(obj)
	b.installed = append(b.installed, obj)
}

// twice returns a set in which every policy is there under a second name, too, and has
// a second binding under its first.
func twice(set *policy.Set) *policy.Set {
	const again = "again-"
	double := &policy.Set{Policies: slices.Clone(set.Policies), Bindings: slices.Clone(set.Bindings),
		Remainder: set.Remainder, Limits: set.Limits}
	for i := range set.Policies {
		p := set.Policies[i].DeepCopy()
		p.Name = again + p.Name
		double.Policies = append(double.Policies, *p)
	}
	for i := range set.Bindings {
		second, other := set.Bindings[i].DeepCopy(), set.Bindings[i].DeepCopy()
		second.Name = "second-" + second.Name
		other.Name, other.Spec.PolicyName = again+other.Name, again+other.Spec.PolicyName
		double.Bindings = append(double.Bindings, *second, *other)
	}
	return double
}

const groupLabel = "group"

// labelled returns a world whose Namespace belongs to a group.
func labelled(w world, name string) world {
	w.Namespace.Labels = maps.Clone(w.Namespace.Labels)
	if w.Namespace.Labels == nil {
		w.Namespace.Labels = map[string]string{}
	}
	w.Namespace.Labels[groupLabel] = name
	return w
}

// within returns a set for the Namespaces of a group alone, under names of its own.
func within(set *policy.Set, name string) *policy.Set {
	own := &policy.Set{Remainder: set.Remainder, Limits: set.Limits}
	for i := range set.Policies {
		p := set.Policies[i].DeepCopy()
		p.Name = name + "-" + p.Name
		own.Policies = append(own.Policies, *p)
	}
	for i := range set.Bindings {
		binding := set.Bindings[i].DeepCopy()
		binding.Name, binding.Spec.PolicyName = name+"-"+binding.Name, name+"-"+binding.Spec.PolicyName
		binding.Spec.MatchResources = &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{groupLabel: name}}}
		own.Bindings = append(own.Bindings, *binding)
	}
	return own
}

func marker(round int) (*admissionv1.MutatingAdmissionPolicy, *admissionv1.MutatingAdmissionPolicyBinding) {
	name := fmt.Sprintf("zz-round-%d", round)
	p := &admissionv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"probe": "true"}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{
					{RuleWithOperations: admissionv1.RuleWithOperations{
						Operations: []admissionv1.OperationType{admissionv1.Create},
						Rule: admissionv1.Rule{APIGroups: []string{"tekton.dev"}, APIVersions: []string{"v1"},
							Resources: []string{"taskruns"}},
					}}},
			},
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch,
				JSONPatch: &admissionv1.JSONPatch{
					Expression: fmt.Sprintf(`[JSONPatch{op: "add", path: "/metadata/annotations", value: {"round": "%d"}}]`,
						round),
				}}},
		}}
	return p, &admissionv1.MutatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name}}
}

// world makes a Namespace with what a case's cluster holds. Policies learn of
// ServiceAccounts a little later.
func (b *bed) world(name string, w world) {
	b.Helper()
	if name == off {
		return
	}
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: w.Namespace.Labels,
		Annotations: w.Namespace.Annotations}}
	if err := b.client.Create(b.Context(), space); err != nil && !apierrors.IsAlreadyExists(err) {
		b.Fatal(err)
	}
	for account, fields := range w.ServiceAccounts {
		obj := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account, Namespace: name,
			Annotations: fields.Annotations}}
		for _, secret := range fields.Secrets {
			obj.Secrets = append(obj.Secrets, corev1.ObjectReference{Name: secret})
		}
		for _, secret := range fields.PullSecrets {
			obj.ImagePullSecrets = append(obj.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
		}
		b.create(obj)
	}
}

// sent returns what the API server makes of an object in a namespace, without what
// differs anyway; an error where it refuses it. What runs refer to is sent by Tekton's
// controller.
func (b *bed) sent(raw []byte, namespace string) (map[string]any, error) {
	b.Helper()
	if fetched(kindOf(b.T, raw)) {
		return b.sentBy(b.controller, raw, namespace)
	}
	return b.sentBy(b.client, raw, namespace)
}

// fetched reports whether a kind is one of those that runs refer to.
func fetched(kind schema.GroupVersionKind) bool {
	return slices.Contains([]string{"Task", "Pipeline", "StepAction"}, kind.Kind)
}

// sentBy does that with the client of a user.
func (b *bed) sentBy(user client.Client, raw []byte, namespace string) (map[string]any, error) {
	b.Helper()
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(raw, &obj.Object); err != nil {
		b.Fatal(err)
	}
	obj.SetNamespace(namespace)
	if obj.GetName() == "" && obj.GetGenerateName() == "" {
		obj.SetGenerateName("run-")
	}
	err := user.Create(b.Context(), obj, client.DryRunAll)
	// A policy for a kind whose schema the API server has not loaded yet fails like that,
	// whatever its failurePolicy.
	for end := time.Now().Add(time.Minute); apierrors.IsServiceUnavailable(err) && time.Now().Before(end); {
		time.Sleep(time.Second)
		err = user.Create(b.Context(), obj, client.DryRunAll)
	}
	if err != nil {
		return nil, err
	}
	metadata := obj.Object["metadata"].(map[string]any)
	for _, key := range []string{"uid", "creationTimestamp", "managedFields", "namespace", "generation"} {
		delete(metadata, key)
	}
	if obj.GetGenerateName() != "" {
		delete(metadata, "name")
	}
	return obj.Object, nil
}

// same compares two objects; the order of env does not count, nor does the record, nor
// the metadata of what was fetched, which Tekton ignores.
func same(a, b map[string]any) string {
	plain := func(fields map[string]any) map[string]any {
		copied := (&unstructured.Unstructured{Object: fields}).DeepCopy().Object
		sortEnv(copied)
		metadata := copied["metadata"].(map[string]any)
		if copied["kind"] == "Task" || copied["kind"] == "Pipeline" || copied["kind"] == "StepAction" {
			delete(copied, "metadata")
		}
		if notes, ok := metadata["annotations"].(map[string]any); ok {
			delete(notes, wellknown.MutatedKey)
			if len(notes) == 0 {
				delete(metadata, "annotations")
			}
		}
		return copied
	}
	left, right := plain(a), plain(b)
	if reflect.DeepEqual(left, right) {
		return ""
	}
	one, _ := json.Marshal(left)
	two, _ := json.Marshal(right)
	return "got  " + string(one) + "\nwant " + string(two)
}

func sortEnv(value any) {
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			sortEnv(element)
		}
	case map[string]any:
		for key, element := range value {
			list, ok := element.([]any)
			if key != "env" || !ok {
				sortEnv(element)
				continue
			}
			slices.SortStableFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
}

func namespaces() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: wellknown.MutateKey, Operator: metav1.LabelSelectorOpNotIn, Values: []string{wellknown.Disabled}},
	}}
}

// made is what the mutator's own code makes of an object, as the API server stores it.
func (b *bed) made(m *mutator.Mutator, raw []byte, namespace string) (map[string]any, error) {
	b.Helper()
	kind := kindOf(b.T, raw)
	out, err := m.Mutate(context.Background(), mutator.Request{Kind: kind, Namespace: namespace, Raw: raw,
		Resolved: fetched(kind)})
	if err != nil {
		b.Fatal(err)
	}
	changed, err := json.Marshal(out.Object)
	if err != nil {
		b.Fatal(err)
	}
	return b.sent(changed, off)
}
