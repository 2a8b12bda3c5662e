package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// scripted is a series in which null gives what is scripted, round by round, and the
// other arm ten times that.
func scripted(values ...float64) Series {
	i := -1
	return Series{
		ID: "B0", Arms: []string{armNull, "ten"}, Guard: "CPU", GuardArm: armNull, Units: []Unit{{"CPU", "µs"}},
		Measure: func(_ context.Context, arm string) (Sample, error) {
			if arm == armNull {
				if i++; i == len(values) {
					return nil, errors.New("more rounds than are scripted")
				}
				return Sample{"CPU": values[i]}, nil
			}
			return Sample{"CPU": 10 * values[i]}, nil
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
		{"a round that is measured again", []float64{10, 20, 11, 12}, []float64{10, 11, 12}, "One round: thrown away and measured again"},
		{"two, one after the other", []float64{10, 20, 11, 3, 12}, []float64{10, 11, 12}, "2 rounds: thrown away and measured again"},
		{"a machine that never is quiet", []float64{10, 20, 11, 30, 40, 1}, []float64{10, 11, 1}, "One round in which null moved"},
	} {
		b := &bed{options: options{rounds: 3}, talk: io.Discard}
		figures, err := b.measure(t.Context(), scripted(tt.values...))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if len(figures) != 2 || !slices.Equal(figures[0].Rounds, tt.want) || figures[1].Rounds[2] != 10*tt.want[2] {
			t.Errorf("%s: got %+v, want null's rounds to be %v", tt.name, figures, tt.want)
		}
		if notes := strings.Join(b.takeNotes(), "\n"); !strings.Contains(notes, tt.note) || (tt.note == "") != (notes == "") {
			t.Errorf("%s: the notes are %q, want %q", tt.name, notes, tt.note)
		}
	}
}

func TestMeasureFails(t *testing.T) {
	b := &bed{options: options{rounds: 3}, talk: io.Discard}
	if figures, err := b.measure(t.Context(), scripted(1, 1)); err == nil {
		t.Errorf("got %+v and no error", figures)
	}
}

// TestMeasureWithoutOne holds that a peer that fails leaves the others their figures.
func TestMeasureWithoutOne(t *testing.T) {
	b := &bed{options: options{rounds: 3}, talk: io.Discard}
	round := 0
	figures, err := b.measure(t.Context(), Series{
		ID: "B0", Arms: []string{"peer", armNull}, Guard: "CPU", GuardArm: armNull, Units: []Unit{{"CPU", "µs"}},
		Measure: func(_ context.Context, arm string) (Sample, error) {
			if arm == "peer" {
				if round++; round == 2 {
					return nil, errors.New("EOF")
				}
			}
			return Sample{"CPU": 10}, nil
		},
	})
	if err != nil || len(figures) != 2 || len(figures[0].Rounds) != 1 || len(figures[1].Rounds) != 3 || round != 2 {
		t.Errorf("got %+v, error %v", figures, err)
	}
	if notes := b.takeNotes(); len(notes) != 1 || !strings.Contains(notes[0], "peer failed") {
		t.Errorf("the notes are %q", notes)
	}
}
