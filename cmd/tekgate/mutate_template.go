package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

// resourceTemplate is an object that a TriggerTemplate will create.
type resourceTemplate struct {
	path   string // where it stands, such as spec.resourcetemplates[0]
	fields map[string]any
	raw    []byte
}

// resourceTemplates returns those of a TriggerTemplate, none of another object.
// The parameters $(tt.params.x) are left in them: which values they get is known
// with the event alone, and the rules take what holds $( for unknown.
func resourceTemplates(obj map[string]any) []resourceTemplate {
	version, _ := obj["apiVersion"].(string)
	if obj["kind"] != "TriggerTemplate" || !strings.HasPrefix(version, "triggers.tekton.dev/") {
		return nil
	}
	var r object.Reader
	var templates []resourceTemplate
	for i, fields := range r.FieldsList(r.Fields(obj, "spec"), "resourcetemplates") {
		raw, err := json.Marshal(fields)
		if fields == nil || err != nil {
			continue // Triggers will say so itself
		}
		templates = append(templates, resourceTemplate{fmt.Sprintf("spec.resourcetemplates[%d]", i), fields, raw})
	}
	return templates
}
