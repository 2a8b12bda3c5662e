package manifest

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/kube"
)

// WriteYAML writes objects as a stream of YAML documents, in their order.
func WriteYAML(out io.Writer, objects []*unstructured.Unstructured) error {
	for _, obj := range objects {
		text, err := YAML(obj)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "---\n%s", text); err != nil {
			return fmt.Errorf("printing the objects: %w", err)
		}
	}
	return nil
}

// YAML returns an object as YAML, with sorted fields.
func YAML(obj *unstructured.Unstructured) ([]byte, error) {
	text, err := yaml.Marshal(obj.Object)
	if err != nil {
		return nil, fmt.Errorf("printing %s: %w", kube.Name(obj), err)
	}
	return text, nil
}
