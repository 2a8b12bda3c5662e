package object_test

import (
	"encoding/json"
	"testing"

	"github.com/tekgate/tekgate/internal/object"
)

func decode(t *testing.T, raw string) map[string]any {
	t.Helper()
	fields, err := object.Decode([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func TestDecode(t *testing.T) {
	if n := decode(t, `{"n":9007199254740993}`)["n"]; n != json.Number("9007199254740993") {
		t.Errorf("the number became %v", n)
	}
	for _, raw := range []string{``, `null`, `[]`, `"x"`, `{"a":`, `{} {}`, `{}x`} {
		if _, err := object.Decode([]byte(raw)); err == nil {
			t.Errorf("%q was taken for an object", raw)
		}
	}
}

func TestSteps(t *testing.T) {
	task, ok := object.TaskOf(decode(t, `{"spec":{"podTemplate":{"env":[]},"workspaces":[{"name":"w"}],
		"taskSpec":{"steps":[{"name":"a"},{"image":"b"}]}}}`))
	if !ok || task.PodTemplate == nil || len(task.Bindings) != 1 {
		t.Fatalf("got %v %v", task, ok)
	}
	steps, ok := task.Steps()
	if !ok || len(steps) != 2 {
		t.Fatalf("got %v %v", steps, ok)
	}
	if steps[1].Path != "spec.taskSpec.steps[1]" || steps[0].Name() != "a" || steps[1].Name() != "unnamed-1" {
		t.Errorf("got %q, %q and %q", steps[1].Path, steps[0].Name(), steps[1].Name())
	}
	steps[0].Fields["image"] = "c"
	if got := task.Spec["steps"].([]any)[0].(map[string]any)["image"]; got != "c" {
		t.Errorf("editing the step left the object at %v", got)
	}
}

func TestNoSteps(t *testing.T) {
	for _, raw := range []string{`{}`, `{"spec":null}`, `{"spec":[]}`, `{"spec":{"taskSpec":null}}`, `{"spec":{"taskSpec":"x"}}`,
		`{"spec":{"taskRef":{"name":"t"}}}`, `{"spec":{"taskSpec":{},"podTemplate":7}}`} {
		if task, ok := object.TaskOf(decode(t, raw)); ok {
			t.Errorf("%s has the task %v", raw, task)
		}
	}
	for _, raw := range []string{`{"spec":{"taskSpec":{"steps":{}}}}`, `{"spec":{"taskSpec":{"steps":[null]}}}`} {
		task, _ := object.TaskOf(decode(t, raw))
		if steps, ok := task.Steps(); ok {
			t.Errorf("%s has the steps %v", raw, steps)
		}
	}
}

func TestReader(t *testing.T) {
	fields := decode(t, `{"text":"a","null":null,"list":["a",1],"flag":true,"fields":{}}`)
	var r object.Reader
	if r.Text(fields, "text") != "a" || !r.Flag(fields, "flag") || r.Fields(fields, "fields") == nil || len(r.List(fields, "list")) != 2 {
		t.Error("a field was not read")
	}
	if r.Text(fields, "absent") != "" || r.Fields(fields, "null") != nil || r.Fields(nil, "x") != nil || r.Odd {
		t.Error("an absent field or null is odd")
	}
	if texts := r.TextList(fields, "list"); len(texts) != 2 || texts[1] != "" || !r.Odd {
		t.Errorf("got %q, odd %v", texts, r.Odd)
	}
	r = object.Reader{}
	if r.Flag(fields, "text") || !r.Odd {
		t.Error("a text was taken for a flag")
	}
}
