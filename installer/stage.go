package installer

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Stage is a set of objects that are applied together, after those of the
// stages before.
type Stage struct {
	// Doc says what the stage is, for the report.
	Doc     string
	Objects []*unstructured.Unstructured
	// Wait says that the next stage needs these objects ready.
	Wait bool
}

// Stages sorts objects into the order in which they can be applied:
// definitions, since nothing exists in a namespace or of a kind that is not
// there (tektoncd/triggers#1006); then all that runs; and last what makes the
// API server and EventListeners call what runs, so that no request is sent to a
// server that is not there yet (tektoncd/pipeline#3367). Stages without
// objects are left out.
func Stages(objects []*unstructured.Unstructured) []Stage {
	stages := []Stage{
		{Doc: "namespaces and definitions", Wait: true},
		{Doc: "workloads, permissions and configuration"},
		{Doc: "webhooks and interceptors"},
	}
	for _, obj := range objects {
		n := stageOf(obj)
		stages[n].Objects = append(stages[n].Objects, obj)
	}
	filled := stages[:0]
	for _, s := range stages {
		if len(s.Objects) > 0 {
			filled = append(filled, s)
		}
	}
	return filled
}

func stageOf(obj *unstructured.Unstructured) int {
	switch obj.GetKind() {
	case "Namespace", "CustomResourceDefinition":
		return 0
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "ClusterInterceptor":
		return 2
	}
	return 1
}
