package mutator_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/mutator"
)

// TestExamples takes every run, Task and Pipeline of Tekton's own examples through
// all rules at once: the result is valid for Tekton where the example is, a second
// pass changes nothing, unknown fields survive, and nothing that the author set has
// changed but the names of images.
func TestExamples(t *testing.T) {
	m := everything(t)
	seen, changed, valid := map[string]int{}, 0, 0
	for _, example := range golden.Examples(t, "github.com/tektoncd/pipeline") {
		if example.Err != nil {
			t.Fatal(example.File, example.Err)
		}
		name, raw := fmt.Sprintf("%s#%d", example.File, example.Index), example.JSON
		kind := kindOf(t, raw)
		if !mutator.Matches(kind) || kind.Kind == "Pod" {
			continue
		}
		seen[kind.Kind]++
		t.Run(name, func(t *testing.T) {
			if mutateExample(t, m, raw) {
				changed++
			}
			if tektonAdmits(raw) == nil {
				valid++
			}
			mutateExample(t, m, withUnknownFields(t, raw))
		})
	}
	t.Logf("examples by kind: %v, %d valid for Tekton as they are, %d changed", seen, valid, changed)
	for kind, least := range map[string]int{"TaskRun": 60, "PipelineRun": 60, "Task": 20, "Pipeline": 5} {
		if seen[kind] < least {
			t.Errorf("only %d examples of the kind %s", seen[kind], kind)
		}
	}
	if changed < 200 || valid < 200 {
		t.Errorf("only %d examples were changed, and %d are valid for Tekton", changed, valid)
	}
}

// mutateExample tells whether a rule changed the object.
func mutateExample(t *testing.T, m *mutator.Mutator, raw []byte) bool {
	t.Helper()
	req := mutator.Request{Kind: kindOf(t, raw), Namespace: namespace, Raw: raw, Resolved: true}
	out, err := m.Mutate(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	patched := apply(t, raw, out)
	if diff := difference(t, out.Object, patched); diff != "" {
		t.Errorf("the patched object is not the object:\n%s", diff)
	}
	if lost := lost(decodeNumbers(t, raw), decodeNumbers(t, patched), ""); lost != "" {
		t.Errorf("what the author set has changed: %s", lost)
	}
	req.Raw = patched
	if again, err := m.Mutate(t.Context(), req); err != nil || len(again.Patch) > 0 {
		t.Errorf("a second pass changes %s, error %v", again.Patch, err)
	}
	tektonAgrees(t, raw, patched)
	return len(out.Patch) > 0
}

// lost returns where after does not hold what before says, or "". An empty string
// says nothing, as to Tekton. Lists may grow:
// env, volumes and volumeMounts at their end, args at its beginning, command after its first word.
func lost(before, after any, at string) string {
	switch before := before.(type) {
	case map[string]any:
		fields, ok := after.(map[string]any)
		if !ok {
			return at
		}
		for key, value := range before {
			isParam := (key == "default" || key == "value") && strings.Contains(at, ".params[")
			if (key == "image" || isParam) && replaced(value, fields[key]) {
				continue
			}
			if where := lost(value, fields[key], at+"."+key); where != "" {
				return where
			}
		}
		return ""
	case []any:
		list, ok := after.([]any)
		if !ok {
			return at
		}
		switch end := at[strings.LastIndex(at, ".")+1:]; {
		case len(list) == len(before):
		case slices.Contains([]string{"env", "volumes", "volumeMounts"}, end) && len(list) > len(before):
			list = list[:len(before)]
		case end == "args" && len(list) > len(before):
			list = list[len(list)-len(before):]
		case end == "command" && len(list) > len(before):
			list = append([]any{list[0]}, list[len(list)-len(before)+1:]...)
		default:
			return at
		}
		for i := range before {
			if where := lost(before[i], list[i], fmt.Sprintf("%s[%d]", at, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if before != after && before != nil && before != "" {
		return fmt.Sprintf("%s: %v became %v", at, before, after)
	}
	return ""
}

// replaced tells whether an image is where the mirror of allOn, or its house's
// Kaniko, would have it.
func replaced(before, after any) bool {
	was, _ := before.(string)
	is, _ := after.(string)
	return was != "" && !strings.Contains(was, "$(") && strings.HasPrefix(is, "mirror.example.com/")
}

// withUnknownFields adds what no rule and no Tekton knows, with numbers and
// strings that a careless decoder spoils.
func withUnknownFields(t *testing.T, raw []byte) []byte {
	t.Helper()
	object := decodeNumbers(t, raw)
	var add func(any)
	add = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, inner := range value {
				add(inner)
			}
			value["x-unknown"] = map[string]any{
				"integer": json.Number("9007199254740993"), "decimal": json.Number("1.10"),
				"exponent": json.Number("1E400"),
				"text":     "<&> \u2028 ü \x00", "null": nil, "empty": map[string]any{},
				"list": []any{nil, "", json.Number("-0")},
			}
		case []any:
			for _, inner := range value {
				add(inner)
			}
		}
	}
	add(object.(map[string]any)["spec"])
	out, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
