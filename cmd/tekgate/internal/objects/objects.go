// Package objects reads and prints objects: names, namespaces, the runs in templates,
// and the namespaces that the webhooks apply to.
package objects

import (
	"bufio"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
)

// Metadata returns the metadata of an object.
func Metadata(fields map[string]any) map[string]any {
	metadata, _ := fields["metadata"].(map[string]any)
	return metadata
}

// NamespaceOr returns the namespace in metadata, or fallback if there is none or it
// depends on a parameter.
func NamespaceOr(metadata map[string]any, fallback string) string {
	if own, _ := metadata["namespace"].(string); own != "" && !strings.Contains(own, "$(") {
		return own
	}
	return fallback
}

// Name returns the name in metadata, with * for the part that the server generates.
func Name(metadata map[string]any) string {
	if name, _ := metadata["name"].(string); name != "" {
		return name
	}
	generated, _ := metadata["generateName"].(string)
	return generated + "*"
}

// PrintYAML prints objects as a stream of YAML documents.
func PrintYAML(out io.Writer, objects []*unstructured.Unstructured) error {
	w := bufio.NewWriter(out)
	if err := manifest.WriteYAML(w, objects); err != nil {
		return err
	}
	return w.Flush()
}
