package main

import (
	"math"
	"slices"
)

// Figure is what was measured of one arm: one value per round.
type Figure struct {
	ID   string // of the benchmark: B1
	What string // what was measured: CPU per request
	Arm  string // who it was measured of: one of the arm… constants, or a variant
	Unit string // µs, ms, req/s, MiB, requests …
	// Rounds are in the order of the rounds; those of two arms at the same place were
	// measured one after the other.
	Rounds []float64
}

// median is NaN without values.
func median(values []float64) float64 {
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

// Ratio is how two figures compare: that of their medians, and the least and the
// largest of a round.
type Ratio struct{ Median, Least, Most float64 }

// ratioOf divides a figure by another. Where base is not nil it is subtracted from
// both first, round by round and of the medians.
func ratioOf(over, under, base []float64) Ratio {
	without := func(values []float64) []float64 { return values }
	if base != nil {
		without = func(values []float64) []float64 {
			return zip(values, base, func(a, b float64) float64 { return a - b })
		}
	}
	rounds := zip(without(over), without(under), func(a, b float64) float64 { return a / b })
	if len(rounds) == 0 {
		return Ratio{math.NaN(), math.NaN(), math.NaN()}
	}
	shift := 0.0
	if base != nil {
		shift = median(base)
	}
	return Ratio{(median(over) - shift) / (median(under) - shift), slices.Min(rounds), slices.Max(rounds)}
}

// zip goes as far as both reach.
func zip(a, b []float64, f func(a, b float64) float64) []float64 {
	var out []float64
	for i := range min(len(a), len(b)) {
		out = append(out, f(a[i], b[i]))
	}
	return out
}

// spread is a figure by itself: its median, least and largest.
func spread(values []float64) Ratio {
	if len(values) == 0 {
		return Ratio{math.NaN(), math.NaN(), math.NaN()}
	}
	return Ratio{median(values), slices.Min(values), slices.Max(values)}
}
