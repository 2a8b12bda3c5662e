package main

import (
	"context"
	"fmt"
	"math"
)

// Sample is what one arm gave in one round, by what was measured.
type Sample map[string]float64

// Series is one benchmark's rounds.
type Series struct {
	ID   string
	Arms []string // in the order in which they take turns
	// Rounds is how many there are at most; 0 is as many as the command line says.
	Rounds int
	// Units says what is measured, in the order of the tables.
	Units []Unit
	// Guard is the measure by which GuardArm says that the machine was quiet. Without
	// one no round is thrown away.
	Guard, GuardArm string
	Measure         func(ctx context.Context, arm string) (Sample, error)
}

// Unit is the unit of what is measured.
type Unit struct{ What, Unit string }

// mostMoved is by how much of its median the guard may move.
const mostMoved = 1.0 / 3

// measure runs the rounds. One in which the guard moved by more than a third from
// its median is thrown away and measured again, at most as often as there are rounds.
func (b *bed) measure(ctx context.Context, s Series) ([]Figure, error) {
	var rounds []map[string]Sample
	want := b.rounds
	if s.Rounds > 0 {
		want = min(want, s.Rounds)
	}
	thrown, spare := 0, want
	for {
		for len(rounds) < want {
			round, err := s.round(ctx)
			if err != nil {
				return nil, err
			}
			rounds = append(rounds, round)
			fmt.Fprintf(b.talk, "%s round %d of %d\n", s.ID, len(rounds), want)
		}
		quiet := s.quiet(rounds)
		moved := len(rounds) - len(quiet)
		if moved == 0 {
			break
		}
		if moved > spare {
			b.note("%d rounds in which the %s arm moved by more than a third are in the figures: no quieter ones were to be had", moved, s.GuardArm)
			break
		}
		spare, thrown, rounds = spare-moved, thrown+moved, quiet
	}
	if thrown > 0 {
		b.note("%d rounds were measured again, since the %s arm moved by more than a third from its median", thrown, s.GuardArm)
	}
	return s.figures(rounds), nil
}

func (s Series) round(ctx context.Context) (map[string]Sample, error) {
	round := map[string]Sample{}
	for _, arm := range s.Arms {
		sample, err := s.Measure(ctx, arm)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", arm, err)
		}
		round[arm] = sample
	}
	return round, nil
}

// quiet returns the rounds in which the guard did not move.
func (s Series) quiet(rounds []map[string]Sample) []map[string]Sample {
	if s.Guard == "" {
		return rounds
	}
	var values []float64
	for _, round := range rounds {
		values = append(values, round[s.GuardArm][s.Guard])
	}
	middle := median(values)
	var quiet []map[string]Sample
	for i, round := range rounds {
		if math.Abs(values[i]-middle) <= mostMoved*middle {
			quiet = append(quiet, round)
		}
	}
	return quiet
}

func (s Series) figures(rounds []map[string]Sample) []Figure {
	var figures []Figure
	for _, unit := range s.Units {
		for _, arm := range s.Arms {
			figure := Figure{ID: s.ID, What: unit.What, Arm: arm, Unit: unit.Unit}
			for _, round := range rounds {
				if value, measured := round[arm][unit.What]; measured {
					figure.Rounds = append(figure.Rounds, value)
				}
			}
			if len(figure.Rounds) > 0 {
				figures = append(figures, figure)
			}
		}
	}
	return figures
}
