package report

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
		if got := Median(tt.values); got != tt.want && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("the median of %v is %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestRatio(t *testing.T) {
	for _, tt := range []struct {
		name       string
		values, to []float64
		want       Summary
	}{
		{"of medians, not the median of ratios", []float64{2, 9, 4}, []float64{1, 2, 8}, Summary{2, 0.5, 4.5}},
		{"a candidate with fewer rounds", []float64{2, 4}, []float64{1, 1, 4}, Summary{3, 2, 4}},
	} {
		if got := ratioOf(tt.values, tt.to); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if got := ratioOf(nil, []float64{1}); got.measured() {
		t.Errorf("without figures the ratio is %+v", got)
	}
}
