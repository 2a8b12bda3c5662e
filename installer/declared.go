package installer

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kube"
)

// Declared says which settings of a release the configuration decides. The objects of the
// release contain their values.
type Declared struct {
	// Keys are the keys of ConfigMaps, by the ConfigMap's identity. What users change of
	// them in the cluster is not kept.
	Keys map[string][]string
	// Replicas are the identities of Deployments.
	Replicas map[string]bool
}

// overrule replaces the values of a merged ConfigMap that the configuration decides, and
// reports each value of the user's that is not kept.
func overrule(next, merged *unstructured.Unstructured, merges []Merge, declared []string) []Merge {
	data := ConfigData(next)
	for i, m := range merges {
		if m.Outcome != KeyKept || !slices.Contains(declared, m.Key) {
			continue
		}
		merges[i].Outcome, merges[i].Value, merges[i].Other = KeyDeclared, m.Other, m.Value
		_ = unstructured.SetNestedField(merged.Object, data[m.Key], "data", m.Key)
	}
	return merges
}

// checkReplicas reports the declared replicas of Deployments that an autoscaler of the
// cluster sizes.
func checkReplicas(declared Declared, objects []*unstructured.Unstructured, autoscaled map[string]bool) []Finding {
	var found []Finding
	for _, obj := range objects {
		if id := kube.Identity(obj); declared.Replicas[id] && autoscaled[id] {
			found = append(found, Finding{
				Category: "settings",
				Sentence: kube.Name(obj) + " has declared replicas, and a HorizontalPodAutoscaler of the cluster sizes it",
				Remedy:   "set the minReplicas of that autoscaler, or delete it",
			})
		}
	}
	return found
}
