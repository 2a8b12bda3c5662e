package resolve

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/document"
)

// define decodes what was fetched.
func (q Request) define(text []byte, source, note string) (Definition, error) {
	documents, problems := document.Parse("the definition", text)
	switch {
	case len(problems) > 0:
		return Definition{}, fmt.Errorf("%s is not well-formed: line %d: %w: name a file of YAML, or have its author correct it",
			q.place(), problems[0].Line, problems[0].Err)
	case len(documents) == 0:
		return Definition{}, fmt.Errorf("%s is empty: name a file with a %s", q.place(), q.Kind)
	}
	// Tekton takes the first document alone.
	objects, err := documents[0].Objects()
	if err != nil || len(objects) == 0 {
		return Definition{}, fmt.Errorf("%s is no Kubernetes object: name a file with a %s", q.place(), q.Kind)
	}
	fields := objects[0].Fields
	version, _ := fields["apiVersion"].(string)
	kind, _ := fields["kind"].(string)
	if !strings.HasPrefix(version, "tekton.dev/") || !slices.Contains(q.kinds(), kind) {
		return Definition{}, fmt.Errorf("%s is a %s of %s and no %s: name a %[4]s of tekton.dev", q.place(), kind,
			version, q.Kind)
	}
	return Definition{Fields: fields, Source: source, Note: note}, nil
}

// kinds are those that a reference accepts.
func (q Request) kinds() []string {
	if q.Kind == "Task" {
		return []string{"Task", "ClusterTask"}
	}
	return []string{q.Kind}
}
