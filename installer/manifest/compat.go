package manifest

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/kube"
)

// Adapt fits a release to a server that no longer serves all of its kinds, as
// releases before v0.41 need, or that does not serve all of them yet: policies are
// left out, and objects that only changed their version are converted. It returns the objects to
// apply, a sentence for each that is not as it was, and one for each that the
// server does not serve and that nothing can be done about.
func Adapt(
	objects []*unstructured.Unstructured,
	served func(schema.GroupVersionKind) (bool, error),
) (adapted []*unstructured.Unstructured, notes, refused []string, err error) {
	coming := NewKinds(objects)
	for _, obj := range objects {
		kind := obj.GroupVersionKind()
		ok, err := served(kind)
		if err != nil {
			return nil, nil, nil, err
		}
		if ok || coming[kind.GroupKind()] {
			adapted = append(adapted, obj)
			continue
		}
		converted, note := convert(obj)
		switch {
		case note == "":
			refused = append(
				refused,
				fmt.Sprintf("%s is of %s, which this server does not serve", kube.Name(obj), obj.GetAPIVersion()),
			)
		case converted != nil:
			adapted = append(adapted, converted)
			fallthrough
		default:
			notes = append(notes, note)
		}
	}
	return adapted, notes, refused, nil
}

// convert returns what stands in for an object of a kind that is gone; nil
// where nothing does. The note is empty where nothing is known about it.
func convert(obj *unstructured.Unstructured) (converted *unstructured.Unstructured, note string) {
	kind := obj.GroupVersionKind()
	switch kind.Group + "/" + kind.Kind {
	case "policy/PodSecurityPolicy":
		return nil, kube.Name(obj) + " is left out: this server has no PodSecurityPolicies"
	case "admissionregistration.k8s.io/ValidatingAdmissionPolicy":
		return nil, kube.Name(obj) + " is left out: this server has no ValidatingAdmissionPolicies, which Kubernetes serves since 1.30"
	case "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding":
		return nil, kube.Name(obj) + " is left out, as its ValidatingAdmissionPolicy is"
	case "policy/PodDisruptionBudget":
		converted = obj.DeepCopy()
		converted.SetAPIVersion("policy/v1")
	case "autoscaling/HorizontalPodAutoscaler":
		converted = obj.DeepCopy()
		converted.SetAPIVersion("autoscaling/v2")
		if kind.Version == "v2beta1" {
			convertMetrics(converted)
		}
	default:
		return nil, ""
	}
	return converted, fmt.Sprintf(
		"%s is converted from %s to %s, which this server serves",
		kube.Name(obj),
		obj.GetAPIVersion(),
		converted.GetAPIVersion(),
	)
}

// convertMetrics brings an autoscaler's metrics from v2beta1, where targets
// stand beside the metric's name, to v2, where they stand below `target`. Only
// resource metrics occur in releases.
func convertMetrics(hpa *unstructured.Unstructured) {
	metrics, _, _ := unstructured.NestedSlice(hpa.Object, "spec", "metrics")
	for _, m := range metrics {
		metric, _ := m.(map[string]any)
		resource, _ := metric["resource"].(map[string]any)
		target := map[string]any{}
		if value, ok := resource["targetAverageUtilization"]; ok {
			target["type"], target["averageUtilization"] = "Utilization", value
		}
		if value, ok := resource["targetAverageValue"]; ok {
			target["type"], target["averageValue"] = "AverageValue", value
		}
		delete(resource, "targetAverageUtilization")
		delete(resource, "targetAverageValue")
		if len(target) > 0 {
			resource["target"] = target
		}
	}
	if len(metrics) > 0 {
		_ = unstructured.SetNestedSlice(hpa.Object, metrics, "spec", "metrics")
	}
}
