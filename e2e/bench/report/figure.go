package report

import (
	"math"
	"slices"
)

// Figure is what one candidate scored in one measure of a benchmark.
type Figure struct {
	Measure   string `json:"measure"` // CPU per request
	Candidate string `json:"candidate"`
	Unit      string `json:"unit,omitempty"` // µs, ms, req/s, MiB, requests …
	// Rounds has one value per round. Two candidates' values at one index were measured
	// one after the other.
	Rounds []float64 `json:"rounds,omitempty"`
	// Summary replaces Rounds in figures that were copied from a report.
	Summary
}

// summary returns the figure's median and range.
func (f Figure) summary() Summary {
	if len(f.Rounds) > 0 {
		return summarize(f.Rounds)
	}
	return f.Summary
}

// Summary is the median and the range of the rounds. It is NaN if nothing was measured.
type Summary struct {
	Median float64 `json:"median,omitempty"`
	Min    float64 `json:"min,omitempty"`
	Max    float64 `json:"max,omitempty"`
}

func notMeasured() Summary { return Summary{math.NaN(), math.NaN(), math.NaN()} }

func (s Summary) measured() bool { return !math.IsNaN(s.Median) }

func summarize(values []float64) Summary {
	if len(values) == 0 {
		return notMeasured()
	}
	return Summary{Median(values), slices.Min(values), slices.Max(values)}
}

// Median returns NaN if there are no values.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// ratioOf returns the ratio of the medians, and the range of the rounds' ratios.
func ratioOf(values, to []float64) Summary {
	var rounds []float64
	for i := range min(len(values), len(to)) {
		rounds = append(rounds, values[i]/to[i])
	}
	s := summarize(rounds)
	s.Median = Median(values) / Median(to)
	return s
}
