package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sample is what some requests took, and those that failed.
type sample struct {
	took   []time.Duration
	failed []error
}

func (s *sample) add(other sample) {
	s.took = append(s.took, other.took...)
	s.failed = append(s.failed, other.failed...)
}

// quantile is in milliseconds; q of 0.5 is the median. Without requests it is 0.
func (s *sample) quantile(q float64) float64 {
	if len(s.took) == 0 {
		return 0
	}
	slices.Sort(s.took)
	at := min(int(q*float64(len(s.took))), len(s.took)-1)
	return float64(s.took[at]) / float64(time.Millisecond)
}

// complaint is an error where a request failed.
func (s *sample) complaint(arm string) error {
	if len(s.failed) == 0 {
		return nil
	}
	return fmt.Errorf("arm %s: %d of %d requests failed: %w", arm, len(s.failed), len(s.failed)+len(s.took), s.failed[0])
}

// counts says whether a sample can be reported. Failed requests of a peer are told, and
// those of ours or of what it is measured against are an error.
func (b *bed) counts(arm string, s *sample) (bool, error) {
	if len(s.failed) == 0 {
		return true, nil
	}
	if !slices.Contains([]string{armGatekeeper, armKyverno, armKyvernoCEL}, arm) {
		return false, s.complaint(arm)
	}
	b.note("%s: %d of %d requests failed, the first with: %s", arm, len(s.failed), len(s.failed)+len(s.took), firstLine(s.failed[0]))
	return len(s.took) > len(s.failed), nil
}

// together sends n requests, c of them at a time.
func together(ctx context.Context, c, n int, send func(context.Context) (time.Duration, error)) sample {
	var next atomic.Int64
	parts := make([]sample, c)
	var working sync.WaitGroup
	for i := range parts {
		working.Go(func() {
			for next.Add(1) <= int64(n) && ctx.Err() == nil {
				took, err := send(ctx)
				if err != nil {
					parts[i].failed = append(parts[i].failed, err)
					continue
				}
				parts[i].took = append(parts[i].took, took)
			}
		})
	}
	working.Wait()
	var all sample
	for _, part := range parts {
		all.add(part)
	}
	return all
}

// inTurn asks all arms in turn, a block of n requests each, c at a time, until each
// had so many blocks: there and back, so that what an arm leaves behind does not always
// fall on the same other.
func inTurn(ctx context.Context, arms []string, blocks, c, n int, send func(ctx context.Context, arm string) (time.Duration, error)) map[string]*sample {
	seen := map[string]*sample{}
	for _, arm := range arms {
		seen[arm] = &sample{}
	}
	order := slices.Clone(arms)
	for range blocks {
		slices.Reverse(order)
		for _, arm := range order {
			seen[arm].add(together(ctx, c, n, func(ctx context.Context) (time.Duration, error) { return send(ctx, arm) }))
		}
	}
	return seen
}

// tell says which round of something begins.
func (b *bed) tell(format string, round int, args ...any) {
	fmt.Fprintf(b.talk, format+": round %d of %d\n", append(args, round+1, b.rounds)...)
}

// ledger collects the figures of one benchmark, round by round.
type ledger struct {
	id      string
	figures []Figure
}

// note adds a round's value to the figure of an arm.
func (l *ledger) note(what, arm, unit string, value float64) {
	i := slices.IndexFunc(l.figures, func(f Figure) bool { return f.What == what && f.Arm == arm })
	if i < 0 {
		l.figures = append(l.figures, Figure{ID: l.id, What: what, Arm: arm, Unit: unit})
		i = len(l.figures) - 1
	}
	l.figures[i].Rounds = append(l.figures[i].Rounds, value)
}
