package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/e2e/bench/report"
)

// scores are what a candidate scored in one round, by measure.
type scores map[string]float64

// series is a benchmark whose candidates take turns in each round.
type series struct {
	candidates []string
	// rounds is the most that make sense; 0 means as many as the command line says.
	rounds   int
	measures []measure // in the order of the tables
	// guard is the measure of null that shows whether the machine was quiet. Without one,
	// no round is discarded.
	guard string
	run   func(ctx context.Context, candidate string) (scores, error)
}

type measure struct{ name, unit string }

// mostMoved is the part of its median by which the guard may move.
const mostMoved = 1.0 / 3

// measure runs the rounds. It discards those in which the guard moved too much and
// measures them again, at most as many as there are rounds.
func (e *environment) measure(ctx context.Context, s series) ([]report.Figure, error) {
	want := e.rounds
	if s.rounds > 0 {
		want = min(want, s.rounds)
	}
	all := s.candidates
	var rounds []map[string]scores
	discarded, spare := 0, want
	for {
		for len(rounds) < want {
			round, err := e.round(ctx, &s)
			if err != nil {
				return nil, err
			}
			rounds = append(rounds, round)
			fmt.Fprintf(e.log, "round %d of %d\n", len(rounds), want)
		}
		quiet := s.quiet(rounds)
		moved := len(rounds) - len(quiet)
		if moved > spare {
			e.note("Includes %s in which null moved by more than a third from its median, because no quieter "+
				"ones followed.", countRounds(moved))
			break
		}
		if moved == 0 {
			break
		}
		spare, discarded, rounds = spare-moved, discarded+moved, quiet
	}
	if discarded > 0 {
		e.note("Discarded and measured again: %s in which null moved by more than a third from its median.",
			countRounds(discarded))
	}
	s.candidates = all
	return s.figures(rounds), nil
}

func countRounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return fmt.Sprintf("%d rounds", n)
}

// round measures each candidate once. A peer that fails is left out of later rounds; null
// and Tekgate must not fail.
func (e *environment) round(ctx context.Context, s *series) (map[string]scores, error) {
	round := map[string]scores{}
	for _, candidate := range s.candidates {
		scored, err := s.run(ctx, candidate)
		switch {
		case err == nil:
			round[candidate] = scored
		case ctx.Err() != nil || candidate == null || strings.HasPrefix(candidate, tekgate):
			return nil, fmt.Errorf("measuring %s: %w", candidate, err)
		default:
			fmt.Fprintf(e.log, "%s fails and is left out: %v\n", candidate, err)
			e.note("%s failed, and has fewer rounds than the others.", candidate)
			s.candidates = slices.DeleteFunc(slices.Clone(s.candidates), func(c string) bool { return c == candidate })
		}
	}
	return round, nil
}

// quiet returns the rounds in which the guard did not move too much.
func (s series) quiet(rounds []map[string]scores) []map[string]scores {
	if s.guard == "" {
		return rounds
	}
	var values []float64
	for _, round := range rounds {
		values = append(values, round[null][s.guard])
	}
	middle := report.Median(values)
	var quiet []map[string]scores
	for i, round := range rounds {
		if math.Abs(values[i]-middle) <= mostMoved*middle {
			quiet = append(quiet, round)
		}
	}
	return quiet
}

func (s series) figures(rounds []map[string]scores) []report.Figure {
	r := &recorder{}
	for _, m := range s.measures {
		for _, candidate := range s.candidates {
			for _, round := range rounds {
				if value, measured := round[candidate][m.name]; measured {
					r.record(m.name, candidate, m.unit, value)
				}
			}
		}
	}
	return r.figures
}

// recorder collects figures, round by round.
type recorder struct{ figures []report.Figure }

// record adds a round's value to a figure.
func (r *recorder) record(measure, candidate, unit string, value float64) {
	i := slices.IndexFunc(r.figures, func(f report.Figure) bool {
		return f.Measure == measure && f.Candidate == candidate
	})
	if i < 0 {
		r.figures = append(r.figures, report.Figure{Measure: measure, Candidate: candidate, Unit: unit})
		i = len(r.figures) - 1
	}
	r.figures[i].Rounds = append(r.figures[i].Rounds, value)
}
