package validator_test

import (
	"fmt"
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

// BenchmarkTasks judges a Pipeline of many Tasks as lint does. The time per Task is to be the same for all sizes.
func BenchmarkTasks(b *testing.B) {
	for _, n := range []int{500, 1000, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			text.WriteString("apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\n")
			text.WriteString("spec:\n  params: [{name: a}]\n  tasks:\n")
			for i := range n {
				fmt.Fprintf(&text, `  - name: t%d
    params: [{name: x, value: $(params.a)}]
    taskSpec:
      params: [{name: x}]
      results: [{name: r}]
      steps: [{name: s, image: registry.example.com/a:1, script: "echo $(params.x) > $(results.r.path)"}]
`, i)
				if i > 0 {
					fmt.Fprintf(&text, "    runAfter: [t%d]\n", i-1)
				}
			}
			all := subjects(b, "many tasks", text.String())
			v := &validator.Validator{Config: validator.Default(), Cluster: validator.NewSet(all), Offline: true}
			for b.Loop() {
				if found := v.Judge(b.Context(), all[0]).Findings; len(found) > 0 {
					b.Fatal(found[0])
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/task")
		})
	}
}
