package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sample has the durations of the requests that succeeded, and the errors of the others.
type sample struct {
	took   []time.Duration
	failed []error
}

func (s *sample) add(other sample) {
	s.took = append(s.took, other.took...)
	s.failed = append(s.failed, other.failed...)
}

// quantile returns 0 if no request succeeded.
func (s *sample) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	slices.Sort(s.took)
	return s.took[min(int(q*float64(len(s.took))), len(s.took)-1)]
}

func (s *sample) median() float64 { return millis(s.quantile(0.5)) }
func (s *sample) p99() float64    { return millis(s.quantile(0.99)) }

// err returns an error if a request failed.
func (s *sample) err(candidate string) error {
	if len(s.failed) == 0 {
		return nil
	}
	return fmt.Errorf("%s: %d of %d requests failed: %w", candidate, len(s.failed), s.sent(), s.failed[0])
}

func (s *sample) sent() int { return len(s.failed) + len(s.took) }

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// sender sends one request and returns how long it took.
type sender func(ctx context.Context) (time.Duration, error)

// concurrently sends requests from a number of workers as long as next returns true.
func concurrently(ctx context.Context, workers int, next func() bool, send sender) sample {
	parts := make([]sample, workers)
	var group sync.WaitGroup
	for i := range parts {
		group.Go(func() {
			for next() {
				took, err := send(ctx)
				if err != nil {
					parts[i].failed = append(parts[i].failed, err)
					continue
				}
				parts[i].took = append(parts[i].took, took)
			}
		})
	}
	group.Wait()
	var all sample
	for _, part := range parts {
		all.add(part)
	}
	return all
}

// together sends n requests, at most width at once.
func together(ctx context.Context, width, n int, send sender) sample {
	var sent atomic.Int64
	return concurrently(ctx, width, func() bool { return sent.Add(1) <= int64(n) && ctx.Err() == nil }, send)
}

// pace sends rate requests per second until ctx ends, and then waits for those that are
// under way. At most width are under way at once: it sends fewer if answers are slower.
func pace(ctx context.Context, rate float64, width int, send sender) sample {
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

// inTurn measures candidates in blocks of n requests, width at once. It reverses the order
// after each block, so that what a candidate leaves behind affects different others.
func inTurn(
	ctx context.Context, candidates []string, blocks, width, n int,
	send func(ctx context.Context, candidate string) (time.Duration, error),
) map[string]*sample {
	samples := map[string]*sample{}
	for _, candidate := range candidates {
		samples[candidate] = &sample{}
	}
	order := slices.Clone(candidates)
	for range blocks {
		slices.Reverse(order)
		for _, candidate := range order {
			samples[candidate].add(together(ctx, width, n, func(ctx context.Context) (time.Duration, error) {
				return send(ctx, candidate)
			}))
		}
	}
	return samples
}
