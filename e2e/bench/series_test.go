package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// scripted is a series in which null scores the given values, round by round, and another
// candidate ten times as much.
func scripted(values ...float64) series {
	i := -1
	return series{
		candidates: []string{null, "ten"}, guard: "CPU", measures: []measure{{"CPU", "µs"}},
		run: func(_ context.Context, candidate string) (scores, error) {
			if candidate == null {
				if i++; i == len(values) {
					return nil, errors.New("more rounds than are scripted")
				}
				return scores{"CPU": values[i]}, nil
			}
			return scores{"CPU": 10 * values[i]}, nil
		},
	}
}

func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		name   string
		values []float64
		want   []float64 // of null, in the end
		note   string
	}{
		{"a quiet machine", []float64{10, 11, 12}, []float64{10, 11, 12}, ""},
		{"a third is not more than a third", []float64{9, 12, 9}, []float64{9, 12, 9}, ""},
		{
			"a round that is measured again", []float64{10, 20, 11, 12}, []float64{10, 11, 12},
			"Discarded and measured again: 1 round",
		},
		{
			"two, one after the other", []float64{10, 20, 11, 3, 12}, []float64{10, 11, 12},
			"Discarded and measured again: 2 rounds",
		},
		{
			"a machine that is never quiet", []float64{10, 20, 11, 30, 40, 1}, []float64{10, 11, 1},
			"Includes 1 round in which null moved",
		},
	} {
		e := &environment{options: options{rounds: 3}, log: io.Discard}
		figures, err := e.measure(t.Context(), scripted(tt.values...))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(figures) != 2 || !slices.Equal(figures[0].Rounds, tt.want) || figures[1].Rounds[2] != 10*tt.want[2] {
			t.Errorf("%s: got %+v, want null's rounds to be %v", tt.name, figures, tt.want)
		}
		notes := strings.Join(e.takeNotes(), "\n")
		if !strings.Contains(notes, tt.note) || (tt.note == "") != (notes == "") {
			t.Errorf("%s: the notes are %q, want %q", tt.name, notes, tt.note)
		}
	}
}

func TestMeasureFails(t *testing.T) {
	e := &environment{options: options{rounds: 3}, log: io.Discard}
	if figures, err := e.measure(t.Context(), scripted(1, 1)); err == nil {
		t.Errorf("got %+v and no error", figures)
	}
}

// If a peer fails, the others keep their figures.
func TestMeasureWithoutOne(t *testing.T) {
	e := &environment{options: options{rounds: 3}, log: io.Discard}
	round := 0
	figures, err := e.measure(t.Context(), series{
		candidates: []string{"peer", null}, guard: "CPU", measures: []measure{{"CPU", "µs"}},
		run: func(_ context.Context, candidate string) (scores, error) {
			if candidate == "peer" {
				if round++; round == 2 {
					return nil, errors.New("EOF")
				}
			}
			return scores{"CPU": 10}, nil
		},
	})
	if err != nil || len(figures) != 2 || len(figures[0].Rounds) != 1 || len(figures[1].Rounds) != 3 || round != 2 {
		t.Errorf("got %+v, error %v", figures, err)
	}
	if notes := e.takeNotes(); len(notes) != 1 || !strings.Contains(notes[0], "peer failed") {
		t.Errorf("the notes are %q", notes)
	}
}
