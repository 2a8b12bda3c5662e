package pipelines

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
)

// disturbances are put behind the texts of steps: what Tekton refuses there, what it
// takes, and what only looks like either.
var disturbances = []string{
	"$(params.args[0])", "$(params.args[*])", "$(params.array-to-concat)", "$(params.array-to-echo[*])",
	"$(params.nowhere)", "$(params.nowhere[*])", `$(params["nowhere"])`, "$(params.a.b.c)", "$(params.image",
	"$(params.)",
	"$(params\n.nowhere)", "$$(params.nowhere)", "$(date $(params.nowhere))", "$(date)", "$(params.nowhere $(date)",
	"$(context.task.nowhere)", "$(context.taskRun.name)", "$(context.taskRun[\"nowhere\"])",
	"$(context.pipelineRun.uid)",
	"$(results.nowhere.path)", "$(step.results.nowhere.path)", "$(steps.a.results.b)", "$(workspaces.nowhere.path)",
	"$(tasks.nowhere.results.x)", "$(finally.nowhere.results.x)", "$(inputs.params.nowhere)",
}

// TestTektonPasses holds that Tekton's whole validation finds nothing either where the
// shorter one passes, in the examples of its own people and in what becomes of them when
// one text of a step, a task or an embedded Task is disturbed.
func TestTektonPasses(t *testing.T) {
	passes, fails, next := 0, 0, 0
	for _, example := range golden.Examples(t, "github.com/tektoncd/pipeline") {
		fields, err := object.Decode(example.JSON)
		if err != nil {
			continue
		}
		version, _ := fields["apiVersion"].(string)
		kind, _ := fields["kind"].(string)
		empty, known := tektonTypes[schema.FromAPIVersionAndKind(version, kind)]
		if !known {
			continue
		}
		compare := func() {
			passed, found := bothWays(t, fields, empty)
			switch {
			case passed && len(found) > 0:
				t.Fatalf("%s, document %d, passes, and Tekton finds %v in %v",
					example.File, example.Index, found, fields)
			case passed:
				passes++
			case len(found) > 0:
				fails++
			}
		}
		versions := []string{version}
		if kind == "Task" && version == "tekton.dev/v1" { // of which there are more than of the older version
			versions = append(versions, "tekton.dev/v1beta1")
		}
		for _, version := range versions {
			fields["apiVersion"], empty = version, tektonTypes[schema.FromAPIVersionAndKind(version, kind)]
			compare()
			eachStepText(fields, false, func(put func(string), was string) {
				put(was + disturbances[next%len(disturbances)])
				next++
				compare()
				put(was)
			})
		}
	}
	if passes < 300 || fails < 300 {
		t.Errorf("%d pass and %d fail: that proves too little", passes, fails)
	}
	t.Logf("%d pass, %d fail", passes, fails)
}

// bothWays tells whether the shorter validation passes, and what the whole one finds.
func bothWays(t *testing.T, fields map[string]any, empty func() tektonObject) (bool, []admission.Problem) {
	t.Helper()
	ctx := tektonContext(t.Context())
	raw, ok := admission.Raw(fields, nil)
	if !ok {
		t.Fatal("it cannot be written")
	}
	into, passed := empty(), false
	if admission.Decode(raw, into) == nil {
		into.SetDefaults(ctx)
		passed, _ = tektonPasses(ctx, into)
	}
	return passed, tektonWhole(ctx, fields, raw, empty())
}

// eachStepText visits all texts within lists of steps and tasks and in embedded Tasks, in the order
// of their keys.
func eachStepText(value any, within bool, visit func(put func(string), was string)) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if text, is := v[key].(string); is && within {
				visit(func(s string) { v[key] = s }, text)
				continue
			}
			begins := slices.Contains([]string{"steps", "taskSpec", "tasks", "finally"}, key)
			eachStepText(v[key], within || begins, visit)
		}
	case []any:
		for i := range v {
			if text, is := v[i].(string); is && within {
				visit(func(s string) { v[i] = s }, text)
				continue
			}
			eachStepText(v[i], within, visit)
		}
	}
}

// TestTektonPassesPlain holds that the shorter validation does pass where it is meant to,
// each time for one reason why it might not.
func TestTektonPassesPlain(t *testing.T) {
	const task = `{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"a"},"spec":{"params":[{"name":"p"%s}],"results":[{"name":"r"}],%s"steps":[{"name":"s","image":"i:1","script":%q%s}]}}`
	for _, c := range []struct {
		name, param, spec, script, step string
		want                            bool
	}{
		{"no reference", "", "", "date", "", true},
		{"what is declared", "", "", "$(params.p) $(results.r.path) $(context.task.name) $(workspaces.w.path) $(date)",
			"", true},
		{"a param that is not", "", "", "$(params.q)", "", false},
		{"a result that is not", "", "", "$(results.q.path)", "", false},
		{"a list", `,"type":"array"`, "", "$(params.p[0])", `,"args":["$(params.p[*])"]`, true},
		{"a list within a word", `,"type":"array"`, "", "", `,"args":["-$(params.p[*])"]`, false},
		{"a list within a text", `,"type":"array"`, "", "$(params.p)", "", false},
		{"an object", `,"type":"object","properties":{"k":{}}`, "", "", "", false},
		{"a stepTemplate", "", `"stepTemplate":{"workingDir":"/"},`, "", "", false},
		{"a step that is refused", "", "", "x", `,"command":["x"]`, false},
		{"a mount beside a workspace", "", `"workspaces":[{"name":"w"}],`, "",
			`,"volumeMounts":[{"name":"v","mountPath":"/workspace/w"}]`, false},
	} {
		fields, err := object.Decode(fmt.Appendf(nil, task, c.param, c.spec, c.script, c.step))
		if err != nil {
			t.Fatal(err)
		}
		passed, found := bothWays(t, fields, tektonTypes[schema.FromAPIVersionAndKind("tekton.dev/v1", "Task")])
		if passed != c.want {
			t.Errorf("%v: it passes: %v, and Tekton finds %v", c.name, passed, found)
		}
	}
}

// TestTektonPassesMany holds that the shorter validation of a Pipeline with many specifications
// passes, and that what is wrong with one of them, or with the Pipeline, is still found.
func TestTektonPassesMany(t *testing.T) {
	const specs = 200
	many := func(last string) map[string]any {
		text := strings.Repeat(`{"name":"t%d","taskSpec":{"params":[{"name":"p","default":""}],"steps":[{"name":"s","image":"i:1","script":"$(params.p)"}]}},`, specs)
		for i := range specs {
			text = strings.Replace(text, "%d", strconv.Itoa(i), 1)
		}
		fields, err := object.Decode([]byte(`{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"a"},"spec":{"tasks":[` + text + last + `]}}`))
		if err != nil {
			t.Fatal(err)
		}
		return fields
	}
	kind := schema.FromAPIVersionAndKind("tekton.dev/v1", "Pipeline")
	for name, c := range map[string]struct {
		last  string
		found int
	}{
		"nothing":                 {`{"name":"z","taskSpec":{"steps":[{"image":"i:1"}]}}`, 0},
		"a script":                {`{"name":"z","taskSpec":{"steps":[{"image":"i:1","script":"$(params.nowhere)"}]}}`, 1},
		"a step without an image": {`{"name":"z","taskSpec":{"steps":[{"script":"date"}]}}`, 1},
		"a task of the same name": {`{"name":"t1","taskSpec":{"steps":[{"image":"i:1"}]}}`, 2},
		"an order":                {`{"name":"z","runAfter":["nowhere"],"taskSpec":{"steps":[{"image":"i:1"}]}}`, 1},
	} {
		passed, problems := bothWays(t, many(c.last), tektonTypes[kind])
		if len(problems) != c.found || passed != (c.found == 0) {
			t.Errorf("%s: it passes: %v, and Tekton finds %v", name, passed, problems)
		}
	}
}
