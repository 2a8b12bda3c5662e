package main

import (
	"fmt"
	"math"
)

// Goal is one figure that has to come out of a benchmark: Over divided by Under, or
// Over alone, of one measure.
type Goal struct {
	Text        string // what is held, for people
	What        string // Figure.What
	Over, Under string // arms; without Under the figure itself is held against the limit
	Base        string // an arm that is subtracted from both, such as "no webhook"
	AtMost      *float64
	AtLeast     *float64
	// Reason says why the goal is missed, once that is known. It is printed only
	// where it is missed.
	Reason string
}

// limit makes a limit of a Goal.
func limit(value float64) *float64 { return &value }

// Verdict is what became of a goal.
type Verdict struct {
	Goal
	Ratio Ratio
	// Met says nothing where the arms were not measured, which Ratio.Median tells by
	// being no number.
	Met bool
}

// Judge holds a goal against figures.
func (g Goal) Judge(figures []Figure) Verdict {
	rounds := func(arm string) []float64 {
		for _, f := range figures {
			if f.What == g.What && f.Arm == arm {
				return f.Rounds
			}
		}
		return nil
	}
	v := Verdict{Goal: g}
	switch {
	case g.Under == "":
		v.Ratio = spread(rounds(g.Over))
	case g.Base == "":
		v.Ratio = ratioOf(rounds(g.Over), rounds(g.Under), nil)
	case rounds(g.Base) == nil:
		v.Ratio = spread(nil)
	default:
		v.Ratio = ratioOf(rounds(g.Over), rounds(g.Under), rounds(g.Base))
	}
	v.Met = !math.IsNaN(v.Ratio.Median) &&
		(g.AtMost == nil || v.Ratio.Median <= *g.AtMost) && (g.AtLeast == nil || v.Ratio.Median >= *g.AtLeast)
	return v
}

// Outcome is the verdict in a word.
func (v Verdict) Outcome() string {
	switch {
	case math.IsNaN(v.Ratio.Median):
		return "not measured"
	case v.Met:
		return "met"
	default:
		return "**missed**"
	}
}

// missed tells whether the arms were measured and the goal was not met.
func (v Verdict) missed() bool { return !math.IsNaN(v.Ratio.Median) && !v.Met }

// reason is why the goal is missed, as far as it is known.
func (g Goal) reason() string {
	if g.Reason == "" {
		return "not explained yet."
	}
	return g.Reason
}

// Limit is the goal's limit as in the tables.
func (g Goal) Limit() string {
	switch {
	case g.AtMost != nil:
		return fmt.Sprintf("≤ %s", number(*g.AtMost))
	case g.AtLeast != nil:
		return fmt.Sprintf("≥ %s", number(*g.AtLeast))
	default:
		return "none"
	}
}
