// Package load sends requests and measures how long they and the server took.
package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Sample has the durations of the requests that succeeded, and the errors of the others.
type Sample struct {
	Took   []time.Duration
	Failed []error
}

func (s *Sample) add(other Sample) {
	s.Took = append(s.Took, other.Took...)
	s.Failed = append(s.Failed, other.Failed...)
}

// Quantile returns the duration that the part q of the requests did not exceed, or 0 if no
// request succeeded.
func (s *Sample) Quantile(q float64) time.Duration {
	if len(s.Took) == 0 {
		return 0
	}
	slices.Sort(s.Took)
	return s.Took[min(int(q*float64(len(s.Took))), len(s.Took)-1)]
}

// Median and P99 are in milliseconds.
func (s *Sample) Median() float64 { return millis(s.Quantile(0.5)) }

// P99 returns the 99th percentile in milliseconds.
func (s *Sample) P99() float64 { return millis(s.Quantile(0.99)) }

// Err returns an error if a request failed.
func (s *Sample) Err(candidate string) error {
	if len(s.Failed) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d of %d requests failed: %w", candidate, len(s.Failed), s.Sent(), s.Failed[0])
}

// Sent is the number of requests, whether they succeeded or failed.
func (s *Sample) Sent() int { return len(s.Failed) + len(s.Took) }

// Micros converts a duration to microseconds.
func Micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// Sender sends one request and returns how long it took.
type Sender func(ctx context.Context) (time.Duration, error)

// concurrently sends requests from a number of workers as long as next returns true.
func concurrently(ctx context.Context, workers int, next func() bool, send Sender) Sample {
	parts := make([]Sample, workers)
	var group sync.WaitGroup
	for i := range parts {
		group.Go(func() {
			for next() {
				took, err := send(ctx)
				if err != nil {
					parts[i].Failed = append(parts[i].Failed, err)
					continue
				}
				parts[i].Took = append(parts[i].Took, took)
			}
		})
	}
	group.Wait()
	var all Sample
	for _, part := range parts {
		all.add(part)
	}
	return all
}

// Together sends n requests, at most width at once.
func Together(ctx context.Context, width, n int, send Sender) Sample {
	var sent atomic.Int64
	return concurrently(ctx, width, func() bool { return sent.Add(1) <= int64(n) && ctx.Err() == nil }, send)
}

// Pace sends rate requests per second until ctx ends, and then waits for those that are
// under way. At most width are under way at once: it sends fewer if answers are slower.
func Pace(ctx context.Context, rate float64, width int, send Sender) Sample {
	var sent atomic.Int64
	began := time.Now()
	next := func() bool {
		due := began.Add(time.Duration(float64(sent.Add(1)-1) / rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Until(due)):
			return ctx.Err() == nil
		}
	}
	return concurrently(context.WithoutCancel(ctx), width, next, send)
}

// InTurn measures candidates in blocks of n requests, width at once. It reverses the order
// after each block, so that what a candidate leaves behind affects different others.
func InTurn(
	ctx context.Context, candidates []string, blocks, width, n int,
	send func(ctx context.Context, candidate string) (time.Duration, error),
) map[string]*Sample {
	samples := map[string]*Sample{}
	for _, candidate := range candidates {
		samples[candidate] = &Sample{}
	}
	order := slices.Clone(candidates)
	for range blocks {
		slices.Reverse(order)
		for _, candidate := range order {
			samples[candidate].add(Together(ctx, width, n, func(ctx context.Context) (time.Duration, error) {
				return send(ctx, candidate)
			}))
		}
	}
	return samples
}
