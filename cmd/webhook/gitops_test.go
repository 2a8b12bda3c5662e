package main

import (
	"encoding/json"
	"reflect"
	"strings"

	"github.com/fluxcd/pkg/ssa"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// appliedRun is a run as it is kept in git.
const appliedRun = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: RUN, namespace: ci}
spec:
  taskSpec:
    steps:
    - {name: test, image: "golang:1.26", script: go test}
    - {name: build, image: "gcr.io/kaniko-project/executor:v1.24.0", args: [--no-push]}
`

// testGitOps keeps a Task and a run in a cluster as GitOps tools do. Both are changed when they
// are stored, and no tool that asks the API server may find them different from git.
func (b *bed) testGitOps() {
	for kind, text := range map[string]string{"Task": storedTask, "TaskRun": appliedRun} {
		named := func(name string) *unstructured.Unstructured {
			obj := b.parse(text)
			obj.SetName(name)
			return obj
		}
		b.fluxKeeps(kind, named("by-flux"))
		b.serverSideKeeps(kind, named("by-server"))
		b.clientSideKeeps(kind, named("by-client"))
	}
}

// fluxKeeps applies an object with Flux's own code, which compares what a dry run gives with
// what is stored.
func (b *bed) fluxKeeps(kind string, obj *unstructured.Unstructured) {
	b.Helper()
	flux := ssa.NewResourceManager(b.client, nil, ssa.Owner{Field: "kustomize-controller",
		Group: "kustomize.toolkit.fluxcd.io"})
	for i, want := range []ssa.Action{ssa.CreatedAction, ssa.UnchangedAction, ssa.UnchangedAction} {
		entry, err := flux.Apply(b.Context(), obj.DeepCopy(), ssa.DefaultApplyOptions())
		if err != nil || entry.Action != want {
			b.Fatalf("%s: Flux's apply %d gives %v, error %v, want %s", kind, i, entry, err, want)
		}
	}
	entry, live, merged, err := flux.Diff(b.Context(), obj.DeepCopy(), ssa.DefaultDiffOptions())
	if err != nil || entry.Action != ssa.UnchangedAction {
		b.Errorf("%s: Flux finds drift, error %v:\n%v\n%v", kind, err, live, merged)
	}
	b.changed(kind, obj)
}

// changed fails unless the object in the cluster has what the rules add.
func (b *bed) changed(kind string, obj *unstructured.Unstructured) *unstructured.Unstructured {
	b.Helper()
	live := obj.DeepCopy()
	b.get(live)
	if !isStored(live) {
		b.Errorf("%s %s was not changed: %v", kind, live.GetName(), live.Object)
	}
	return live
}

// serverSideKeeps applies an object by server-side apply, as `kubectl apply --server-side` does
// and Argo CD with ServerSideApply=true; and compares a dry run with what is stored, as
// `kubectl diff --server-side` does and Argo CD with ServerSideDiff=true.
func (b *bed) serverSideKeeps(kind string, obj *unstructured.Unstructured) {
	b.Helper()
	apply := func(options ...client.ApplyOption) *unstructured.Unstructured {
		b.Helper()
		sent := obj.DeepCopy()
		options = append(options, client.FieldOwner("argocd-controller"), client.ForceOwnership)
		if err := b.client.Apply(b.Context(), client.ApplyConfigurationFromUnstructured(sent), options...); err != nil {
			b.Fatalf("%s: %v", kind, err)
		}
		return sent
	}
	apply()
	live := b.changed(kind, obj)
	b.same(kind+", dry run of server-side apply", live, apply(client.DryRunAll))
	apply()
	b.same(kind+", applied again", live, b.changed(kind, obj))
}

// same fails if two forms of an object differ, by more than what each write sets.
func (b *bed) same(what string, live, other *unstructured.Unstructured) {
	b.Helper()
	a, c := live.DeepCopy(), other.DeepCopy()
	if a.GetResourceVersion() != c.GetResourceVersion() {
		b.Errorf("%s: resourceVersion %s became %s", what, a.GetResourceVersion(), c.GetResourceVersion())
	}
	for _, obj := range []*unstructured.Unstructured{a, c} {
		obj.SetManagedFields(nil)
	}
	if !reflect.DeepEqual(a.Object, c.Object) {
		b.Errorf("%s: got\n%v\nwant\n%v", what, c.Object, a.Object)
	}
}

// clientSideKeeps applies an object as `kubectl apply` does, and Argo CD by default: by what
// the annotation says was applied last. What the rules have changed in lists is sent again each
// time; that neither changes what is stored nor is refused. `kubectl diff` shows nothing, since
// it asks the API server. Argo CD's default comparison does not ask, and finds a difference,
// which goes if the fields that rules change are ignored.
func (b *bed) clientSideKeeps(kind string, obj *unstructured.Unstructured) {
	b.Helper()
	b.clientApply(obj.DeepCopy())
	live := b.changed(kind, obj)
	if patch := b.threeWay(live, obj); string(patch) == "{}" {
		b.Errorf("%s: a client finds nothing to send: the documentation says otherwise", kind)
	}
	for range 2 {
		b.clientApply(obj.DeepCopy())
		b.same(kind+", applied again by a client", live, b.changed(kind, obj))
	}
	diff := live.DeepCopy()
	patch := client.RawPatch(types.MergePatchType, b.threeWay(live, obj))
	if err := b.client.Patch(b.Context(), diff, patch, client.DryRunAll); err != nil {
		b.Fatal(err)
	}
	b.same(kind+", kubectl diff", live, diff)
	if patch := b.threeWay(ignoring(live), ignoring(obj)); string(patch) != "{}" {
		b.Errorf("%s: without the fields that are to be ignored, the difference is %s", kind, patch)
	}
}

// ignoring returns an object without the fields of steps that docs/mutation.md says a GitOps tool
// has to ignore if it compares by itself, also in what was applied last.
func ignoring(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := obj.DeepCopy()
	ignoreSteps(out.Object)
	var last map[string]any
	if json.Unmarshal([]byte(obj.GetAnnotations()[corev1.LastAppliedConfigAnnotation]), &last) != nil {
		return out
	}
	ignoreSteps(last)
	text, _ := json.Marshal(last)
	notes := out.GetAnnotations()
	notes[corev1.LastAppliedConfigAnnotation] = string(text) + "\n"
	out.SetAnnotations(notes)
	return out
}

func ignoreSteps(object map[string]any) {
	spec, _ := object["spec"].(map[string]any)
	if inline, is := spec["taskSpec"].(map[string]any); is {
		spec = inline
	}
	steps, _ := spec["steps"].([]any)
	for _, s := range steps {
		step, _ := s.(map[string]any)
		for _, field := range []string{"image", "command", "args", "env", "computeResources"} {
			delete(step, field)
		}
	}
}

// clientApply is `kubectl apply`.
func (b *bed) clientApply(obj *unstructured.Unstructured) {
	b.Helper()
	live := obj.DeepCopy()
	err := b.client.Get(b.Context(), client.ObjectKeyFromObject(live), live)
	if apierrors.IsNotFound(err) {
		b.create(lastApplied(obj), client.FieldOwner("kubectl-client-side-apply"))
		return
	}
	if err != nil {
		b.Fatal(err)
	}
	patch := client.RawPatch(types.MergePatchType, b.threeWay(live, obj))
	if err := b.client.Patch(b.Context(), live, patch, client.FieldOwner("kubectl-client-side-apply")); err != nil {
		b.Fatalf("applying %s: %v", obj.GetName(), err)
	}
}

// threeWay is the patch that makes the live object what is applied, as kubectl and Argo CD
// compute it.
func (b *bed) threeWay(live, obj *unstructured.Unstructured) []byte {
	b.Helper()
	modified, err := json.Marshal(lastApplied(obj))
	if err != nil {
		b.Fatal(err)
	}
	current, err := json.Marshal(live)
	if err != nil {
		b.Fatal(err)
	}
	original := []byte(live.GetAnnotations()[corev1.LastAppliedConfigAnnotation])
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(original, modified, current)
	if err != nil {
		b.Fatal(err)
	}
	return patch
}

// lastApplied returns an object with the annotation that says what was applied.
func lastApplied(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := obj.DeepCopy()
	notes := out.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	delete(notes, corev1.LastAppliedConfigAnnotation)
	out.SetAnnotations(notes)
	text, _ := json.Marshal(out) // ends a line
	notes[corev1.LastAppliedConfigAnnotation] = strings.TrimSpace(string(text)) + "\n"
	out.SetAnnotations(notes)
	return out
}
