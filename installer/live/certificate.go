package live

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Issued says whether a Certificate of cert-manager's is ready, or why it is not, in
// cert-manager's words.
func Issued(certificate *unstructured.Unstructured) (ready bool, why string) {
	conditions, _, _ := unstructured.NestedSlice(certificate.Object, "status", "conditions")
	why = "cert-manager has not looked at it: see whether its controller runs"
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		text := fmt.Sprintf("%v: %v", condition["reason"], condition["message"])
		switch condition["type"] {
		case "Ready":
			if condition["status"] == "True" {
				return true, ""
			}
			why = text
		case "Issuing":
			if condition["status"] == "False" { // the last attempt failed, and this says why
				return false, text
			}
		}
	}
	return false, why
}
