package installer

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fluxcd/pkg/ssa"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// lastAppliedAnnotation is where kubectl keeps a copy of what it applied.
const lastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration"

// appliers are the field managers of tools that applied a release whole. What
// they own is taken over before an apply, since a field that a release no
// longer has stays as long as anybody owns it.
var appliers = []ssa.FieldManager{
	{Name: "kubectl", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationApply},
	{Name: "kubectl-client-side-apply", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationUpdate},
	{Name: "kubectl-create", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationUpdate},
	{Name: "before-first-apply", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationUpdate},
	{Name: "before-first-apply", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationApply},
	{Name: "manifestival", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationUpdate},
	{Name: "tekton-operator", ExactMatch: false, OperationType: metav1.ManagedFieldsOperationUpdate},
	{Name: "helm", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationUpdate},
	{Name: "helm", ExactMatch: true, OperationType: metav1.ManagedFieldsOperationApply},
}

// takeover returns the JSON patch that makes Tekgate the owner of what earlier
// appliers own of a live object; nil where there is nothing. What the user
// changed must be in the object that is applied afterwards: the plan has merged
// it by then.
func takeover(current *unstructured.Unstructured) ([]byte, error) {
	patch, err := ssa.PatchReplaceFieldsManagers(current, appliers, FieldManager)
	if err != nil {
		return nil, fmt.Errorf("%s: reading who owns its fields: %w", kube.Name(current), err)
	}
	patch = append(patch, ssa.PatchRemoveAnnotations(current, []string{lastAppliedAnnotation})...)
	if len(patch) == 0 {
		return nil, nil
	}
	return json.Marshal(patch)
}

// keepReplicas leaves the number of an autoscaled Deployment's Pods to its
// autoscaler. Where Tekgate, or whom it takes over from, still owns the field,
// leaving it out would set it back to one; there the live number is repeated.
func keepReplicas(next, current *unstructured.Unstructured) {
	unstructured.RemoveNestedField(next.Object, "spec", "replicas")
	if current == nil || !ownsReplicas(current) {
		return
	}
	if replicas, found, _ := unstructured.NestedInt64(current.Object, "spec", "replicas"); found {
		_ = unstructured.SetNestedField(next.Object, replicas, "spec", "replicas")
	}
}

func ownsReplicas(current *unstructured.Unstructured) bool {
	return slices.ContainsFunc(current.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		ours := entry.Manager == FieldManager ||
			slices.ContainsFunc(appliers, func(a ssa.FieldManager) bool { return a.Name == entry.Manager })
		if !ours || entry.Subresource != "" || entry.FieldsV1 == nil {
			return false
		}
		var fields struct {
			Spec map[string]any `json:"f:spec"`
		}
		_ = json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields)
		_, owns := fields.Spec["f:replicas"]
		return owns
	})
}

// scaled returns the identities of the Deployments that autoscalers size.
func scaled(autoscalers []*unstructured.Unstructured) map[string]bool {
	targets := map[string]bool{}
	for _, hpa := range autoscalers {
		kind, target := live.Text(
			hpa.Object,
			"spec",
			"scaleTargetRef",
			"kind",
		), live.Text(
			hpa.Object,
			"spec",
			"scaleTargetRef",
			"name",
		)
		targets["apps "+kind+"/"+hpa.GetNamespace()+"/"+target] = true
	}
	return targets
}
