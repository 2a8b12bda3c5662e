package validator_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// BenchmarkJudge judges one object by all rules that are on by default, beside what
// it refers to: what the rules cost without any look-up over a network.
func BenchmarkJudge(b *testing.B) {
	for _, name := range []string{"EventListener", "TriggerTemplate", "TaskRun", "PipelineRun"} {
		all := others(b, "testdata/benchmark.yaml")
		b.Run(name, func(b *testing.B) {
			v := &validator.Validator{Config: validator.Default(), Cluster: validator.NewSet(all)}
			for _, s := range all {
				if s.Kind.Kind != name {
					continue
				}
				for _, finding := range v.Judge(b.Context(), s).In(validator.Enforce) {
					b.Fatal(finding)
				}
				b.ReportAllocs()
				for b.Loop() {
					v.Judge(b.Context(), s)
				}
				return
			}
			b.Fatal("there is none")
		})
	}
}

// BenchmarkPipeline judges a Pipeline of many tasks, offline: what grows faster than the number of tasks shows.
func BenchmarkPipeline(b *testing.B) {
	for _, tasks := range []int{250, 1000} {
		b.Run(strconv.Itoa(tasks), func(b *testing.B) {
			s := manyTasks(b, tasks)
			v := &validator.Validator{Config: validator.Default(), Cluster: validator.NewSet([]validator.Subject{s}),
				Offline: true}
			b.ReportAllocs()
			for b.Loop() {
				for _, finding := range v.Judge(b.Context(), s).In(validator.Enforce) {
					b.Fatal(finding)
				}
			}
		})
	}
}

// manyTasks is a Pipeline in which each task follows the one before and has a taskSpec of its own.
func manyTasks(tb testing.TB, tasks int) validator.Subject {
	tb.Helper()
	var text strings.Builder
	text.WriteString(`{"apiVersion":"tekton.dev/v1","kind":"Pipeline","metadata":{"name":"p"},"spec":{"params":[{"name":"a"}],"workspaces":[{"name":"w"}],"tasks":[`)
	for i := range tasks {
		after := ""
		if i > 0 {
			text.WriteByte(',')
			after = fmt.Sprintf(`"runAfter":["t%d"],`, i-1)
		}
		fmt.Fprintf(&text, `{"name":"t%d",%s"params":[{"name":"x","value":"$(params.a)"}],"workspaces":[{"name":"w"}],`, i, after)
		text.WriteString(`"taskSpec":{"params":[{"name":"x"}],"workspaces":[{"name":"w"}],"results":[{"name":"r"}],"steps":[{"name":"s","image":"registry.example.com/a:1","env":[{"name":"X","value":"$(params.x)"}],"script":"echo \"$X\" > $(results.r.path)"}]}}`)
	}
	text.WriteString(`]}}`)
	return subject(tb, []byte(text.String()))
}
