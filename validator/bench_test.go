package validator_test

import (
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
