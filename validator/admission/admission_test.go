package admission_test

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
)

func decoded(t *testing.T, text string) map[string]any {
	t.Helper()
	fields, err := object.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func kind(name string) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind("triggers.tekton.dev/v1beta1", name)
}

// TestSpelled holds which names are put in order, that the object itself stays as it is, and that paths
// lead back to what was written.
func TestSpelled(t *testing.T) {
	for _, c := range []struct {
		name, kind, object, want string
		path, written            string
	}{
		{"names in order", "TriggerTemplate", `{"metadata":{"Name":"a"},"spec":{"params":[{"name":"a"}],"resourcetemplates":[{"Kind":"a"}]}}`,
			"", "spec.params[0].name", "spec.params[0].name"},
		{"a list", "TriggerTemplate", `{"spec":{"resourceTemplates":[{"Kind":"a"}]}}`,
			`{"spec":{"resourcetemplates":[{"Kind":"a"}]}}`, "spec.resourcetemplates[0].Kind", "spec.resourceTemplates[0].Kind"},
		{"within a list", "EventListener", `{"Spec":{"TRIGGERS":[{"name":"a"},{"Bindings":[{"Ref":"a"}]}]}}`,
			`{"spec":{"triggers":[{"name":"a"},{"bindings":[{"ref":"a"}]}]}}`, "spec.triggers[1].bindings[0].ref",
			"Spec.TRIGGERS[1].Bindings[0].Ref"},
		{"both names", "TriggerTemplate", `{"spec":{"resourcetemplates":[],"resourceTemplates":[{"a":1}]}}`, "",
			"spec.resourcetemplates", "spec.resourcetemplates"},
		{"metadata and free-form values", "Trigger",
			`{"metadata":{"Labels":{"A":"b"}},"spec":{"interceptors":[{"Params":[{"Name":"a","value":{"Name":"b"}}]}]}}`,
			`{"metadata":{"Labels":{"A":"b"}},"spec":{"interceptors":[{"params":[{"name":"a","value":{"Name":"b"}}]}]}}`,
			"spec.interceptors[0].params[0].value.Name", "spec.interceptors[0].Params[0].value.Name"},
		{"values of other types", "EventListener", `{"spec":{"Triggers":3,"resources":null,"triggerGroups":[null,[]]}}`,
			`{"spec":{"triggers":3,"resources":null,"triggerGroups":[null,[]]}}`, "spec.triggers[0].x", "spec.Triggers[0].x"},
		{"a key with a dot", "Trigger", `{"Metadata":{"annotations":{"a.b/c":"d"}}}`, "", "Metadata.annotations[a.b/c]",
			"Metadata.annotations[a.b/c]"},
		{"another kind", "Task", `{"Spec":{}}`, "", "Spec", "Spec"},
	} {
		fields, before := decoded(t, c.object), decoded(t, c.object)
		spelled, changed := admission.Spelled(kind(c.kind), fields)
		want := c.want
		if want == "" {
			want = c.object
		}
		if !reflect.DeepEqual(spelled, decoded(t, want)) || changed != (c.want != "") {
			t.Errorf("%s: got %v, changed %v", c.name, spelled, changed)
		}
		if !reflect.DeepEqual(fields, before) {
			t.Errorf("%s: the object itself was changed", c.name)
		}
		if written := admission.AsWritten(fields, c.path); written != c.written {
			t.Errorf("%s: got the path %s, want %s", c.name, written, c.written)
		}
	}
}

// TestTriggersProblems holds that the object stays as it is, that a panic of Triggers' is no verdict, and
// that names may be written in any case.
func TestTriggersProblems(t *testing.T) {
	for _, c := range []struct{ name, kind, object, want string }{
		{"a null on which Trigger's validation panics", "Trigger", `{"spec":{"interceptors":[null],"template":{"ref":"a"}}}`, ""},
		{"names in another case", "TriggerTemplate", `{"metadata":{"name":"a"},"spec":{"resourceTemplates":[{"apiVersion":"v1","kind":"A"}]}}`, ""},
		{"a generated name", "EventListener",
			`{"metadata":{"generateName":"a-","creationTimestamp":null},"spec":{"triggers":[{"triggerRef":"a"}]},"status":{"x":1}}`, ""},
		{"no object of Triggers", "Task", `{"spec":3}`, ""},
		{"nothing", "TriggerTemplate", `{}`, "spec: missing field(s): spec"},
		{"a wrong type", "TriggerBinding", `{"spec":{"params":[{"name":1,"value":"a"}]}}`, "spec.params[0].name: "},
	} {
		fields := decoded(t, c.object)
		var found []string
		for _, problem := range admission.TriggersProblems(t.Context(), kind(c.kind), fields, nil) {
			found = append(found, problem.Path+": "+problem.Text)
		}
		text := strings.Join(found, "\n")
		if c.want == "" && text != "" || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, text, c.want)
		}
		if !reflect.DeepEqual(fields, decoded(t, c.object)) {
			t.Errorf("%s: the object was changed", c.name)
		}
	}
}
