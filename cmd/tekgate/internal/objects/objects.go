// Package objects reads and prints objects: names, namespaces, the runs in templates,
// and the namespaces that the webhooks apply to.
package objects

import (
	"bufio"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
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

// List are objects that are printed as one value, as kubectl prints several.
type List struct {
	APIVersion string           `json:"apiVersion"`
	Items      []map[string]any `json:"items"`
	Kind       string           `json:"kind"`
}

// ListOf returns objects as a list.
func ListOf(objects []*unstructured.Unstructured) List {
	list := List{APIVersion: "v1", Kind: "List", Items: make([]map[string]any, 0, len(objects))}
	for _, obj := range objects {
		list.Items = append(list.Items, obj.Object)
	}
	return list
}

// Names returns their names as kubectl prints them.
func (l List) Names() []string {
	names := make([]string, 0, len(l.Items))
	for _, fields := range l.Items {
		names = append(names, One(fields).Names()...)
	}
	return names
}

// One is an object that is printed alone.
type One map[string]any

// Names returns its name as kubectl prints it.
func (o One) Names() []string {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	return []string{cli.ObjectName(version, kind, Name(Metadata(o)))}
}

// Formats are the formats of objects. YAML is the first: a stream of documents.
var Formats = []string{"yaml", "json", "name", "jsonpath"}

// Print prints objects: in YAML as a stream of documents, in the other formats as a List.
func Print(out io.Writer, output *cli.Output, objects []*unstructured.Unstructured) error {
	if output.Format == Formats[0] {
		return PrintYAML(out, objects)
	}
	return output.Print(out, ListOf(objects), nil)
}

// PrintYAML prints objects as a stream of YAML documents.
func PrintYAML(out io.Writer, objects []*unstructured.Unstructured) error {
	w := bufio.NewWriter(out)
	if err := manifest.WriteYAML(w, objects); err != nil {
		return err
	}
	return w.Flush()
}
