package installer

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
)

// Terminating describes the namespaces among objects that are being deleted, each with what
// it waits for as far as the server knows, in order. Nothing can be created in them.
func Terminating(namespaces []*unstructured.Unstructured) []string {
	var described []string
	for _, ns := range namespaces {
		if ns != nil && ns.GetDeletionTimestamp() != nil {
			described = append(described, ns.GetName()+holding(ns))
		}
	}
	slices.Sort(described)
	return described
}

// holding describes what keeps a namespace that is being deleted, by the conditions that
// Kubernetes' namespace controller sets; empty if it has set none.
func holding(namespace *unstructured.Unstructured) string {
	var reasons []string
	for _, condition := range live.Maps(namespace.Object, "status", "conditions") {
		message, _ := condition["message"].(string)
		if condition["status"] == "True" && message != "" {
			reasons = append(reasons, message)
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return " (" + strings.Join(reasons, "; ") + ")"
}

// WaitForNamespaces is the remedy for namespaces that are being deleted.
const WaitForNamespaces = "wait until they are gone (`kubectl get namespaces`); one that stays waits for finalizers, " +
	"which `kubectl get namespace NAME -o yaml` names under status.conditions"

func terminatingError(described []string) error {
	if len(described) == 1 {
		return fmt.Errorf("nothing was changed, since namespace %s is being terminated: %s", described[0], WaitForNamespaces)
	}
	return fmt.Errorf("nothing was changed, since the namespaces %s are being terminated: %s",
		strings.Join(described, ", "), WaitForNamespaces)
}
