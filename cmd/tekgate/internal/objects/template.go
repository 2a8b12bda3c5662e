package objects

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

// Template is an object that a TriggerTemplate will create.
type Template struct {
	Path   string // in the TriggerTemplate, such as spec.resourcetemplates[0]
	Fields map[string]any
	Raw    []byte
}

// Templates returns the objects in a TriggerTemplate, and none for another object.
// Parameters such as $(tt.params.x) stay in them: only an event gives them values, and
// the rules treat a text with $( as unknown.
func Templates(obj map[string]any) []Template {
	version, _ := obj["apiVersion"].(string)
	if obj["kind"] != "TriggerTemplate" || !strings.HasPrefix(version, "triggers.tekton.dev/") {
		return nil
	}
	var r object.Reader
	var templates []Template
	for i, fields := range r.FieldsList(r.Fields(obj, "spec"), "resourcetemplates") {
		raw, err := json.Marshal(fields)
		if fields == nil || err != nil {
			continue // Triggers reports it
		}
		templates = append(templates, Template{fmt.Sprintf("spec.resourcetemplates[%d]", i), fields, raw})
	}
	return templates
}
