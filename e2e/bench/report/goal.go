package report

import "fmt"

// Goal is a limit for one measure of one candidate, or for its ratio to another.
type Goal struct {
	Text       string   `json:"text"`
	Reason     string   `json:"reason"` // why the limit matters to a reader
	Measure    string   `json:"measure"`
	Candidate  string   `json:"candidate"`
	RelativeTo string   `json:"relativeTo"` // the other candidate; empty for an absolute limit
	AtMost     *float64 `json:"atMost"`
	AtLeast    *float64 `json:"atLeast"`
}

// value returns what a result says about the goal.
func (g Goal) value(r Result) Summary {
	for _, ratio := range r.Ratios {
		if ratio.Measure == g.Measure && ratio.Candidate == g.Candidate && ratio.RelativeTo == g.RelativeTo {
			return ratio.Summary
		}
	}
	figure, found := r.figure(g.Measure, g.Candidate)
	if !found {
		return notMeasured()
	}
	if g.RelativeTo == "" {
		return figure.summary()
	}
	other, found := r.figure(g.Measure, g.RelativeTo)
	if !found {
		return notMeasured()
	}
	return ratioOf(figure.Rounds, other.Rounds)
}

// outcome is the verdict on a value in a word.
func (g Goal) outcome(value Summary) string {
	switch {
	case !value.measured():
		return "not measured"
	case g.AtMost != nil && value.Median > *g.AtMost, g.AtLeast != nil && value.Median < *g.AtLeast:
		return "**missed**"
	default:
		return "met"
	}
}

func (g Goal) limit() string {
	if g.AtMost != nil {
		return fmt.Sprintf("≤ %s", number(*g.AtMost))
	}
	return fmt.Sprintf("≥ %s", number(*g.AtLeast))
}
