package report

import "testing"

func TestGoal(t *testing.T) {
	limit := func(value float64) *float64 { return &value }
	result := Result{
		Figures: []Figure{
			{Measure: "CPU", Candidate: "a", Rounds: []float64{10, 12, 11}},
			{Measure: "CPU", Candidate: "b", Rounds: []float64{5, 6, 5.5}},
			{Measure: "failures", Candidate: "a", Rounds: []float64{0, 0, 0}},
			{Measure: "memory", Candidate: "a", Summary: Summary{14, 12, 40}},
			{Measure: "memory", Candidate: "b", Summary: Summary{10, 9, 11}},
		},
		Ratios: []Ratio{{Measure: "memory", Candidate: "a", RelativeTo: "b", Summary: Summary{1.4, 1.2, 4}}},
	}
	for _, tt := range []struct {
		goal Goal
		want string
	}{
		{Goal{Measure: "CPU", Candidate: "a", RelativeTo: "b", AtMost: limit(2)}, "met"},
		{Goal{Measure: "CPU", Candidate: "a", RelativeTo: "b", AtMost: limit(1.9)}, "**missed**"},
		{Goal{Measure: "CPU", Candidate: "a", RelativeTo: "b", AtLeast: limit(2.1)}, "**missed**"},
		{Goal{Measure: "CPU", Candidate: "c", RelativeTo: "b", AtLeast: limit(1)}, "not measured"},
		{Goal{Measure: "CPU", Candidate: "a", RelativeTo: "c", AtLeast: limit(1)}, "not measured"},
		{Goal{Measure: "failures", Candidate: "a", AtMost: limit(0)}, "met"},
		{Goal{Measure: "memory", Candidate: "a", AtMost: limit(14)}, "met"},
		{Goal{Measure: "memory", Candidate: "a", RelativeTo: "b", AtMost: limit(1.4)}, "met"},
		{Goal{Measure: "memory", Candidate: "b", RelativeTo: "a", AtMost: limit(1)}, "not measured"},
	} {
		if got := tt.goal.outcome(tt.goal.value(result)); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.goal, got, tt.want)
		}
	}
}
