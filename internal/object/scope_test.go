package object_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/object"
)

// theirs is what Tekton makes of a run, see e2e/tekton/values.
type theirs struct {
	Error string
	Tasks map[string][]map[string]any
}

// propagated are runs in which something is particular, as a PipelineRun's spec.
var propagated = map[string]string{
	"a default of the task does not shadow": `{"params":[{"name":"a","value":"run"}],"pipelineSpec":{"params":[{"name":"a"}],
		"tasks":[{"name":"t","taskSpec":{"params":[{"name":"a","default":"task"}],"steps":[{"image":"$(params.a)"}]}}]}}`,
	"what the task is given does": `{"params":[{"name":"a","value":"run"}],"pipelineSpec":{"params":[{"name":"a"}],
		"tasks":[{"name":"t","params":[{"name":"a","value":"given-$(params.a)"}],"taskSpec":{"params":[{"name":"a","default":"task"}],
		"steps":[{"image":"$(params.a)"}]}}]}}`,
	"a matrix, with includes that fit and that do not": `{"pipelineSpec":{"tasks":[{"name":"t","matrix":{
		"params":[{"name":"a","value":["x","y"]},{"name":"b","value":["1","2"]}],
		"include":[{"params":[{"name":"a","value":"x"},{"name":"c","value":"only-x"}]},{"params":[{"name":"a","value":"z"}]}]},
		"taskSpec":{"params":[{"name":"a"},{"name":"b","default":"0"},{"name":"c","default":"none"}],
		"steps":[{"image":"$(params.a):$(params.b)","script":"$(params.c)"}]}}]}}`,
	"a matrix of includes alone": `{"pipelineSpec":{"tasks":[{"name":"t","matrix":{"include":[{"params":[{"name":"a","value":"x"}]},
		{"params":[{"name":"a","value":"y"}]}]},"taskSpec":{"params":[{"name":"a"}],"steps":[{"image":"$(params.a)"}]}}]}}`,
	"a matrix of an array param": `{"params":[{"name":"all","value":["x","y"]}],"pipelineSpec":{"params":[{"name":"all","type":"array"}],
		"tasks":[{"name":"t","matrix":{"params":[{"name":"a","value":"$(params.all[*])"}]},
		"taskSpec":{"params":[{"name":"a"}],"steps":[{"image":"$(params.a)"}]}}]}}`,
	"defaults that follow from one another": `{"params":[{"name":"repo","value":"app"}],"pipelineSpec":{"params":[
		{"name":"image","default":"$(params.host)/$(params.repo)"},{"name":"host","default":"$(params.base).example.com"},{"name":"repo"},
		{"name":"base","default":"r"}],"tasks":[{"name":"t","taskSpec":{"steps":[{"image":"$(params.image)"}]}}]}}`,
	"an object whole": `{"params":[{"name":"o","value":{"k":"x","l":"y"}}],"pipelineSpec":{"params":[{"name":"o","type":"object"}],
		"tasks":[{"name":"t","params":[{"name":"o","value":"$(params.o[*])"}],"taskSpec":{"params":[{"name":"o","type":"object"}],
		"steps":[{"image":"$(params.o.k):$(params.o.l)","args":["$(params.o.k)"]}]}}]}}`,
	"a value that looks like another's": `{"params":[{"name":"a","value":"$(params.b)"}],"pipelineSpec":{"params":[{"name":"a"}],
		"tasks":[{"name":"t","params":[{"name":"b","value":"b"}],"taskSpec":{"params":[{"name":"b"}],"steps":[{"image":"$(params.a)"}]}}]}}`,
}

// TestValuesAsTekton compares the images, scripts, variables, words and volumes that runs
// have with those that Tekton's own code gives them: of particular runs, and of random ones.
func TestValuesAsTekton(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a part of Tekton, which -short does without")
	}
	random := rand.New(rand.NewPCG(17, 4)) // the same each time
	var names, runs []string
	for name, spec := range propagated {
		names, runs = append(names, name), append(runs, runOf("PipelineRun", json.RawMessage(spec)))
	}
	for i := range 3000 {
		names = append(names, fmt.Sprintf("random %d", i))
		runs = append(runs, randomRun(random))
	}
	failures, compared, matrices := 0, 0, 0
	for i, answer := range resolve(t, runs) {
		if answer.Error != "" {
			continue // Tekton does not run it
		}
		for _, task := range object.Tasks(decode(t, runs[i])) {
			specs := answer.Tasks[task.Path]
			compared++
			if len(specs) > 1 {
				matrices++
			}
			if text := differ(task, specs); text != "" {
				if failures++; failures < 10 {
					t.Errorf("%s, %s: %s\nin %s", names[i], task.Path, text, runs[i])
				}
			}
		}
	}
	if failures > 0 || compared < 1000 || matrices < 100 {
		t.Errorf("%d of %d tasks differ, of which %d have a matrix", failures, compared, matrices)
	}
}

func runOf(kind string, spec any) string {
	raw, err := json.Marshal(map[string]any{"apiVersion": "tekton.dev/v1", "kind": kind,
		"metadata": map[string]any{"name": "r"}, "spec": spec})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func resolve(t *testing.T, runs []string) []theirs {
	t.Helper()
	program, err := tekton.BuildValues(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Stdin, cmd.Stderr = strings.NewReader(strings.Join(runs, "\n")), t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	answers := make([]theirs, len(runs))
	for i := range answers {
		if err := decoder.Decode(&answers[i]); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

// differ compares each text of a task with what it is in the runs that Tekton makes.
func differ(task object.Task, specs []map[string]any) string {
	for _, at := range [][]string{{"steps", "image"}, {"steps", "script"}, {"steps", "workingDir"}, {"sidecars", "image"},
		{"steps", "env", "value"}, {"volumes", "secret", "secretName"}, {"stepTemplate", "image"}} {
		for i, written := range textsAt(task.Spec, at) {
			ours, want := task.Fills(written), []string{}
			for _, spec := range specs {
				want = append(want, textsAt(spec, at)[i])
			}
			slices.Sort(ours)
			slices.Sort(want)
			if want = slices.Compact(want); !slices.Equal(ours, want) {
				return fmt.Sprintf("%v %q is %q, Tekton has %q", at, written, ours, want)
			}
		}
	}
	if len(specs) != 1 {
		return ""
	}
	var ours []string
	for _, word := range textsAt(task.Spec, []string{"steps", "args"}) {
		ours = append(ours, task.Words(word)...)
	}
	if want := textsAt(specs[0], []string{"steps", "args"}); !slices.Equal(ours, want) {
		return fmt.Sprintf("the arguments are %q, Tekton has %q", ours, want)
	}
	return ""
}

// textsAt returns the texts at a path, of all elements of the lists on the way.
func textsAt(value any, path []string) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, item := range value {
			all = append(all, textsAt(item, path)...)
		}
		return all
	case map[string]any:
		if field := value[path[0]]; field != nil {
			return textsAt(field, path[1:])
		}
		if len(path) == 1 && path[0] != "args" {
			return []string{""} // Tekton writes no empty text
		}
	}
	return nil
}
