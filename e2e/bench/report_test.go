package main

import (
	"errors"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/golden"
)

func TestReport(t *testing.T) {
	measured := benchmark{
		ID: "B1", Title: "CPU", Load: "A review.", Silent: "Everything else.",
		Goals: []Goal{
			{Text: "Tekgate over null", What: whatCPU, Over: armOurs, Under: armNull, AtMost: limit(1.5)},
			{Text: "Gatekeeper over Tekgate", What: whatCPU, Over: armGatekeeper, Under: armOurs, AtLeast: limit(12), Reason: "it has become faster."},
			{Text: "Kyverno over Tekgate", What: whatCPU, Over: armKyverno, Under: armOurs, AtLeast: limit(25)},
		},
	}
	report := Report{
		Rounds: 3, Span: 3 * time.Second,
		Machine: Machine{Cores: 2, CPU: "a CPU", Kernel: "6.1", Go: "go1.26", Versions: []string{"Kubernetes v1.36.3"}},
		Missing: []Missing{{armKyverno, "it did not start; the run said why"}},
		Results: []Result{
			{benchmark: measured, Notes: []string{"One round: thrown away and measured again."}, Figures: []Figure{
				{ID: "B1", What: whatCPU, Arm: armNull, Unit: "µs", Rounds: []float64{60, 61, 62}},
				{ID: "B1", What: whatCPU, Arm: armOurs, Unit: "µs", Rounds: []float64{80, 81, 90}},
				{ID: "B1", What: whatCPU, Arm: armGatekeeper, Unit: "µs", Rounds: []float64{810, 820, 805}},
				{ID: "B1", What: "p50", Arm: armOurs, Unit: "µs", Rounds: []float64{100.25, 1.239, 1234.5}},
			}},
			{benchmark: benchmark{ID: "B2", Title: "Nothing", Load: "Nobody asks.", Silent: "Anything."}, Err: errors.New("it ended\nits log: …")},
		},
	}
	golden.Equal(t, "testdata/report.golden.md", []byte(report.String()))
}
