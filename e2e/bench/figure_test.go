package main

import (
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}, {nil, math.NaN()},
	} {
		if got := median(tt.values); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("the median of %v is %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestRatio(t *testing.T) {
	for _, tt := range []struct {
		name              string
		over, under, base []float64
		want              Ratio
	}{
		{"of medians, not the median of ratios", []float64{2, 9, 4}, []float64{1, 2, 8}, nil, Ratio{2, 0.5, 4.5}},
		{"of what is added", []float64{5, 7, 9}, []float64{3, 4, 5}, []float64{1, 1, 1}, Ratio{2, 2, 2}},
		{"one who was measured less often", []float64{2, 4}, []float64{1, 1, 4}, nil, Ratio{3, 2, 4}},
	} {
		if got := ratioOf(tt.over, tt.under, tt.base); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := ratioOf(nil, []float64{1}, nil); !math.IsNaN(got.Median) {
		t.Errorf("without figures the ratio is %+v", got)
	}
}

func TestJudge(t *testing.T) {
	figures := []Figure{
		{What: "CPU", Arm: "a", Rounds: []float64{10, 12, 11}},
		{What: "CPU", Arm: "b", Rounds: []float64{5, 6, 5.5}},
		{What: "CPU", Arm: "none", Rounds: []float64{1, 1, 1}},
		{What: "failures", Arm: "a", Rounds: []float64{0, 0, 0}},
	}
	for _, tt := range []struct {
		goal Goal
		want string
	}{
		{Goal{What: "CPU", Over: "a", Under: "b", AtMost: limit(2)}, "met"},
		{Goal{What: "CPU", Over: "a", Under: "b", AtMost: limit(1.9)}, "**missed**"},
		{Goal{What: "CPU", Over: "a", Under: "b", AtLeast: limit(2.1)}, "**missed**"},
		{Goal{What: "CPU", Over: "a", Under: "b", Base: "none", AtLeast: limit(2.1)}, "met"}, // 10 / 4.5
		{Goal{What: "CPU", Over: "a", Under: "b", Base: "gone", AtLeast: limit(1)}, "not measured"},
		{Goal{What: "CPU", Over: "c", Under: "b", AtLeast: limit(1)}, "not measured"},
		{Goal{What: "failures", Over: "a", AtMost: limit(0)}, "met"},
	} {
		if got := tt.goal.Judge(figures).Outcome(); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.goal, got, tt.want)
		}
	}
}
