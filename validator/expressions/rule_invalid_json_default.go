package expressions

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/template"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tekgate/tekgate/validator/rule"
)

var invalidJSONDefaultRule = &rule.Rule{
	ID:       "invalid-json-default",
	Severity: rule.Error,
	Kinds:    kindsWithTemplates,
	Doc: `Finds defaults of a TriggerTemplate's params with which no resource can be created, since
they hold a quote, a backslash or a new line. Triggers puts values into the JSON of the
resource as they are, and what comes out is no JSON any more; the event is dropped.

Write them as JSON wants them within a string: ` + "`\\\"`, `\\\\` and `\\n`" + `. A block of YAML (` + "`default: |`" + `)
ends with a new line; ` + "`|-`" + ` does not.

Each default is put in by Triggers' own code (v0.37.0, pkg/template), so what works there
passes, quotes under the annotation triggers.tekton.dev/old-escape-quotes among it.`,
	Check: checkInvalidJSONDefault,
}

func checkInvalidJSONDefault(_ context.Context, p *rule.Pass) {
	for _, t := range templatesIn(p) {
		for _, declared := range t.params() {
			value, _ := declared.Value.(string)
			if char := t.breaks(p, declared.Name, value); char != "" {
				p.Report(declared.Path+".default",
					"with the default of param %q, which holds %s, the resource is no JSON any more, and Triggers drops the event: escape it as in a JSON string",
					declared.Name, char)
			}
		}
	}
}

// breaks puts a value into the template's resources as Triggers does, and returns what
// in it makes one of them invalid, "" where all stay JSON.
func (t paramTemplate) breaks(p *rule.Pass, name, value string) (char string) {
	char = unsafeInJSON(value)
	if char == "" || name == "" {
		return ""
	}
	p.Step(rule.Look) // outside of what recovers
	defer func() {
		if recover() != nil { // in Triggers' code
			char = ""
		}
	}()
	whole := &v1beta1.TriggerTemplate{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{}}}
	if _, old := t.Annotations[template.OldEscapeAnnotation]; old {
		whole.Annotations[template.OldEscapeAnnotation] = "yes"
	}
	for _, raw := range t.using(name) {
		whole.Spec.ResourceTemplates = append(whole.Spec.ResourceTemplates,
			v1beta1.TriggerResourceTemplate{RawExtension: runtime.RawExtension{Raw: raw}})
	}
	for _, resolved := range template.ResolveResources(whole, []v1beta1.Param{{Name: name, Value: value}}) {
		if !json.Valid(resolved) {
			return char
		}
	}
	return ""
}

// using returns the JSON of the resources that use a param.
func (t paramTemplate) using(name string) []json.RawMessage {
	if t.raw == nil {
		for _, resource := range t.resources() {
			if raw, err := json.Marshal(resource.Fields); err == nil {
				t.raw = append(t.raw, raw)
			}
		}
	}
	reference := []byte("$(tt.params." + name + ")")
	return slices.DeleteFunc(slices.Clone(t.raw), func(raw json.RawMessage) bool {
		return !bytes.Contains(raw, reference)
	})
}

// unsafeInJSON names the first character that a JSON string cannot hold as it is.
func unsafeInJSON(value string) string {
	at := strings.IndexFunc(value, func(r rune) bool { return r == '"' || r == '\\' || r < ' ' })
	if at < 0 {
		return ""
	}
	switch value[at] {
	case '"':
		return "a quote"
	case '\\':
		return "a backslash"
	case '\n':
		return "a new line"
	}
	return "a control character"
}
