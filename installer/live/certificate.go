package live

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Issued says whether a Certificate of cert-manager's is ready, or why it is not, in
// cert-manager's words: the reason why its last attempt failed, if there was one.
func Issued(certificate *unstructured.Unstructured) (ready bool, why string) {
	conditions, _, _ := unstructured.NestedSlice(certificate.Object, "status", "conditions")
	why, failed := "cert-manager has not looked at it: see whether its controller runs", ""
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		text := fmt.Sprintf("%v: %v", condition["reason"], condition["message"])
		switch {
		case condition["type"] == "Ready" && condition["status"] == "True":
			return true, "" // whatever became of a renewal since
		case condition["type"] == "Ready":
			why = text
		case condition["type"] == "Issuing" && condition["status"] == "False":
			failed = text
		}
	}
	if failed != "" {
		return false, failed
	}
	return false, why
}
