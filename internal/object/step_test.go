package object_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	tasks := object.Tasks(decode(t, `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","spec":{"podTemplate":{"env":[]},"workspaces":[{"name":"w"}],
		"serviceAccountName":"sa","taskSpec":{"steps":[{"name":"a"},{"image":"b"}]}}}`))
	if len(tasks) != 1 || tasks[0].Run.PodTemplates[0] == nil || len(tasks[0].Run.Bindings) != 1 ||
		tasks[0].Run.ServiceAccount != "sa" {
		t.Fatalf("got %v", tasks)
	}
	steps, ok := tasks[0].Steps()
	if !ok || len(steps) != 2 {
		t.Fatalf("got %v %v", steps, ok)
	}
	if steps[1].Path != "spec.taskSpec.steps[1]" || steps[0].Name() != "a" || steps[1].Name() != "unnamed-1" {
		t.Errorf("got %q, %q and %q", steps[1].Path, steps[0].Name(), steps[1].Name())
	}
	steps[0].Fields["image"] = "c"
	if got := tasks[0].Spec["steps"].([]any)[0].(map[string]any)["image"]; got != "c" {
		t.Errorf("editing the step left the object at %v", got)
	}
}

// TestTasks holds where steps stand in each kind, and what is known of their run.
func TestTasks(t *testing.T) {
	const run = `"podTemplate":{"nodeSelector":{}},"serviceAccountName":"all"`
	const pipeline = `{"tasks":[{"name":"a","taskSpec":{"steps":[{"name":"one"}]}},{"name":"b","taskRef":{"name":"t"}},
		{"name":"c","taskSpec":{"apiVersion":"example.dev/v1","kind":"Custom","spec":{"steps":[{}]}}},
		{"name":"d","pipelineSpec":{"tasks":[{"name":"in","taskSpec":{"steps":[{"name":"two"}]}}]}}],
		"finally":[{"name":"e","taskSpec":{"steps":[{"name":"three"}]}}]}`
	tests := []struct {
		name, raw string
		want      []string // path of each step, its name and the run's ServiceAccount
	}{
		{"Task", `{"apiVersion":"tekton.dev/v1","kind":"Task","spec":{"steps":[{"name":"x"}]}}`,
			[]string{"spec.steps[0] x "}},
		{"ClusterTask", `{"apiVersion":"tekton.dev/v1beta1","kind":"ClusterTask","spec":{"steps":[{"name":"x"}]}}`,
			[]string{"spec.steps[0] x "}},
		{"StepAction", `{"apiVersion":"tekton.dev/v1beta1","kind":"StepAction","spec":{"image":"i"}}`,
			[]string{"spec step "}},
		{"Pipeline", `{"apiVersion":"tekton.dev/v1","kind":"Pipeline","spec":` + pipeline + `}`, []string{
			"spec.tasks[0].taskSpec.steps[0] one ", "spec.tasks[3].pipelineSpec.tasks[0].taskSpec.steps[0] two ",
			"spec.finally[0].taskSpec.steps[0] three "}},
		{"PipelineRun v1", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":{"taskRunTemplate":{` + run + `},"pipelineSpec":` + pipeline + `,
			"taskRunSpecs":[{"pipelineTaskName":"e","serviceAccountName":"own"}]}}`, []string{
			"spec.pipelineSpec.tasks[0].taskSpec.steps[0] one all",
			"spec.pipelineSpec.tasks[3].pipelineSpec.tasks[0].taskSpec.steps[0] two ",
			"spec.pipelineSpec.finally[0].taskSpec.steps[0] three own"}},
		{"PipelineRun v1beta1", `{"apiVersion":"tekton.dev/v1beta1","kind":"PipelineRun","spec":{` + run + `,"pipelineSpec":` + pipeline + `,
			"taskRunSpecs":[{"pipelineTaskName":"a","taskServiceAccountName":"own"}]}}`, []string{
			"spec.pipelineSpec.tasks[0].taskSpec.steps[0] one own",
			"spec.pipelineSpec.tasks[3].pipelineSpec.tasks[0].taskSpec.steps[0] two ",
			"spec.pipelineSpec.finally[0].taskSpec.steps[0] three all"}},
		{"PipelineRun v1alpha1", `{"apiVersion":"tekton.dev/v1alpha1","kind":"PipelineRun","spec":{"serviceAccountNames":[{"taskName":"e","serviceAccountName":"own"}],
			"pipelineSpec":{"tasks":[{"name":"e","taskSpec":{"steps":[{"name":"x"}]}}]}}}`, []string{"spec.pipelineSpec.tasks[0].taskSpec.steps[0] x own"}},
		{"Pod", `{"apiVersion":"v1","kind":"Pod","spec":{"serviceAccountName":"sa","containers":[{"name":"step-x"},{"name":"sidecar-y"},{"name":"step-unnamed-1"}]}}`,
			[]string{"spec.containers[0] x sa", "spec.containers[2] unnamed-1 sa"}},
		{"Task of another group", `{"apiVersion":"example.dev/v1","kind":"Task","spec":{"steps":[{"name":"x"}]}}`, nil},
		{"Deployment", `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"steps":[{"name":"x"}]}}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, task := range object.Tasks(decode(t, tt.raw)) {
				steps, ok := task.Steps()
				if !ok {
					t.Fatalf("%s has odd steps", task.Path)
				}
				for _, step := range steps {
					got = append(got, step.Path+" "+step.Name()+" "+task.Run.ServiceAccount)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

func TestNoSteps(t *testing.T) {
	for _, spec := range []string{`null`, `[]`, `{"taskSpec":null}`, `{"taskSpec":"x"}`,
		`{"taskRef":{"name":"t"}}`, `{"taskSpec":{},"podTemplate":7}`} {
		if tasks := object.Tasks(decode(t,
			`{"apiVersion":"tekton.dev/v1","kind":"TaskRun","spec":`+spec+`}`)); len(tasks) > 0 {
			t.Errorf("%s has the tasks %v", spec, tasks)
		}
	}
	for _, spec := range []string{`{"steps":{}}`, `{"steps":[null]}`} {
		for _, task := range object.Tasks(decode(t, `{"apiVersion":"tekton.dev/v1","kind":"Task","spec":`+spec+`}`)) {
			if steps, ok := task.Steps(); ok {
				t.Errorf("%s has the steps %v", spec, steps)
			}
		}
	}
}

// TestProgram reads what a container of a Pod runs, as Tekton writes it.
func TestProgram(t *testing.T) {
	pod := `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"step-x","command":["/tekton/bin/entrypoint"],"args":%s}]}}`
	tests := []struct{ args, command, rest string }{
		{`["-wait_file","/a","-entrypoint","/kaniko/executor","--","--no-push","--","x"]`, "/kaniko/executor",
			"--no-push -- x"},
		{`["-entrypoint","sh","--"]`, "sh", ""},
		{`["-wait_file","/a","--","-entrypoint","x"]`, "", "-entrypoint x"},
		{`["-entrypoint"]`, "", ""},
		{`[]`, "", ""},
	}
	for _, tt := range tests {
		steps, ok := object.Tasks(decode(t, fmt.Sprintf(pod, tt.args)))[0].Steps()
		if !ok || len(steps) != 1 || !steps[0].InPod() {
			t.Fatalf("%s: got %v", tt.args, steps)
		}
		var r object.Reader
		command, args := steps[0].Program(&r)
		if strings.Join(command, " ") != tt.command || strings.Join(args, " ") != tt.rest || r.Odd {
			t.Errorf("%s: got %q %q", tt.args, command, args)
		}
	}
	script, _ := object.Tasks(decode(t,
		fmt.Sprintf(pod, `["-entrypoint","/tekton/scripts/script-0-abcde","--"]`)))[0].Steps()
	if _, scripted := script[0].Script(&object.Reader{}); !scripted {
		t.Error("a script was not recognised")
	}
}

func TestSettings(t *testing.T) {
	run := decode(t, `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":{}}`)
	settings, ok := object.SettingsOf(run)
	if !ok || settings.Path != "spec.taskRunTemplate" || settings.Fields != nil {
		t.Fatalf("got %v %v", settings, ok)
	}
	settings.Set("serviceAccountName", "a")
	if got := run["spec"].(map[string]any)["taskRunTemplate"].(map[string]any)["serviceAccountName"]; got != "a" {
		t.Errorf("the run says %v", got)
	}
	for _, raw := range []string{`{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":{"taskRunTemplate":1}}`,
		`{"apiVersion":"tekton.dev/v1","kind":"Task","spec":{}}`, `{"apiVersion":"tekton.dev/v1","kind":"TaskRun"}`} {
		if _, ok := object.SettingsOf(decode(t, raw)); ok {
			t.Errorf("%s has settings", raw)
		}
	}
}

func TestReference(t *testing.T) {
	for ref, want := range map[string]string{
		`{"taskRef":{"name":"t"}}`:                                                 "t",
		`{"taskRef":{"name":"t","kind":"Task"}}`:                                   "t",
		`{"taskRef":{"name":"t","apiVersion":"tekton.dev/v1"}}`:                    "t",
		`{"taskRef":{"name":"t","kind":"ClusterTask"}}`:                            "",
		`{"taskRef":{"name":"t","bundle":"r.example.com/b"}}`:                      "",
		`{"taskRef":{"resolver":"git"}}`:                                           "",
		`{"taskRef":{"name":"t","apiVersion":"example.dev/v1","kind":"Whatever"}}`: "",
		`{"taskRef":{"name":"t"},"taskSpec":{}}`:                                   "",
		`{"taskRef":{"name":7}}`:                                                   "",
		`{}`:                                                                       "",
	} {
		got, ok := object.ReferenceOf(decode(t, `{"spec":`+ref+`}`))
		if got.Name != want || ok != (want != "") {
			t.Errorf("%s: got %q %v", ref, got.Name, ok)
		}
	}
}

func TestReader(t *testing.T) {
	fields := decode(t, `{"text":"a","null":null,"list":["a",1],"flag":true,"fields":{}}`)
	var r object.Reader
	if r.Text(fields, "text") != "a" || !r.Flag(fields, "flag") || r.Fields(fields, "fields") == nil ||
		len(r.List(fields, "list")) != 2 {
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

func TestFill(t *testing.T) {
	task := object.Tasks(decode(t, `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","spec":{"params":[{"name":"a","value":"x"},{"name":"list","value":["y"]}],
		"taskSpec":{"params":[{"name":"a","default":"no"},{"name":"b.c","default":"z"},{"name":"none"}],"steps":[{}]}}}`))[0]
	var r object.Reader
	for text, want := range map[string]string{
		"$(params.a):1":        "x:1",
		`$(params["b.c"])/i`:   "z/i",
		"$(params['b.c'])":     "z",
		"$(inputs.params.a)":   "x",
		"$(params.none)":       "$(params.none)",
		"$(params.list)":       "$(params.list)",
		"$(tasks.t.results.a)": "$(tasks.t.results.a)",
		"plain":                "plain",
	} {
		if got := task.Fill(text); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	if r.Odd {
		t.Error("a value of another type is no reason to give up")
	}
}

// TestImages tests where images stand, those of volumes included, and that Set edits the object.
func TestImages(t *testing.T) {
	const volumes = `"volumes":[{"name":"e","emptyDir":{}},{"name":"v","image":{"reference":"VOLUME"}},{"name":"n","image":{}},7]`
	const template = `{"image":"no","volumes":[{"name":"v","image":{"reference":"TEMPLATE"}}]}`
	const task = `{"steps":[{"image":"a"},{"ref":{"name":"r"}}],"sidecars":[{"image":"b"}],"stepTemplate":{"image":"c"},` + volumes + `}`
	tests := []struct {
		name, raw string
		want      []string
	}{
		{"Task", `{"apiVersion":"tekton.dev/v1","kind":"Task","spec":` + task + `}`, []string{
			"spec.steps[0].image a", "spec.sidecars[0].image b", "spec.stepTemplate.image c",
			"spec.volumes[1].image.reference VOLUME literal"}},
		{"StepAction", `{"apiVersion":"tekton.dev/v1beta1","kind":"StepAction","spec":{"image":"a",` + volumes + `}}`,
			[]string{"spec.image a"}},
		{"TaskRun", `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","spec":{"podTemplate":` + template +
			`,"taskRunSpecs":[{"podTemplate":` + template + `}],"taskSpec":{"steps":[]}}}`,
			[]string{"spec.podTemplate.volumes[0].image.reference TEMPLATE literal"}},
		{"PipelineRun v1", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":{"podTemplate":` + template +
			`,"taskRunTemplate":{"podTemplate":` + template + `},"taskRunSpecs":[{},{"podTemplate":` + template + `}],
			"pipelineSpec":{"tasks":[{"taskSpec":{` + volumes + `}}]}}}`, []string{
			"spec.pipelineSpec.tasks[0].taskSpec.volumes[1].image.reference VOLUME literal",
			"spec.taskRunTemplate.podTemplate.volumes[0].image.reference TEMPLATE literal",
			"spec.taskRunSpecs[1].podTemplate.volumes[0].image.reference TEMPLATE literal"}},
		{"PipelineRun v1beta1", `{"apiVersion":"tekton.dev/v1beta1","kind":"PipelineRun","spec":{"podTemplate":` + template +
			`,"taskRunSpecs":[{"taskPodTemplate":` + template + `}]}}`, []string{
			"spec.podTemplate.volumes[0].image.reference TEMPLATE literal",
			"spec.taskRunSpecs[0].taskPodTemplate.volumes[0].image.reference TEMPLATE literal"}},
		{"Deployment", `{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{"spec":{"containers":[{"image":"a"}],` + volumes + `}}}}`,
			[]string{"spec.template.spec.containers[0].image a",
				"spec.template.spec.volumes[1].image.reference VOLUME literal"}},
		{"odd", `{"apiVersion":"tekton.dev/v1","kind":"PipelineRun","spec":{"taskRunTemplate":{"podTemplate":[]},
			"taskRunSpecs":{},"pipelineSpec":{"tasks":[{"taskSpec":{"volumes":{}}}]}}}`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fields := decode(t, tt.raw)
			if got := imagesOf(fields); !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			for _, field := range fieldsOf(fields) {
				field.Set("set/" + field.Value)
			}
			for i, got := range imagesOf(fields) {
				if where, image, _ := strings.Cut(tt.want[i], " "); got != where+" set/"+image {
					t.Errorf("after Set: got %s", got)
				}
			}
		})
	}
}

func fieldsOf(fields map[string]any) []*object.ImageField {
	found := object.Images(fields)
	for _, task := range object.Tasks(fields) {
		found = append(found, task.Images()...)
	}
	return append(found, object.PodTemplateImages(fields)...)
}

func imagesOf(fields map[string]any) []string {
	var found []string
	for _, field := range fieldsOf(fields) {
		text := field.Path + " " + field.Value
		if field.Literal {
			text += " literal"
		}
		if object.InImageVolume(field.Path) != field.Literal {
			text += " but its path says otherwise"
		}
		found = append(found, text)
	}
	return found
}
