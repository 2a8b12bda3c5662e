package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tekgate/tekgate/e2e/servers"
)

func addedLatency() benchmark {
	return benchmark{
		ID: "B3", Title: "What admission adds to a create through the API server",
		Load: "A TaskRun of four steps is created with `dryRun=All` in the Namespaces of all arms in turn, forty at a time.",
		Run:  b3,
	}
}

// b3 measures what admission adds to the creation of a TaskRun through the API
// server: the difference between the medians of an arm and of the one without
// admission, in the same round. Nothing is stored.
func b3(ctx context.Context, b *bed) ([]Figure, error) {
	arms := []string{armNone, armNull, armOurs, armPolicy}
	p, err := newPlane(ctx, b, arms...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	run := taskRun()
	if err := p.addSame(ctx, "TaskRun", taskRuns, run); err != nil {
		return nil, err
	}
	for _, arm := range arms {
		if err := p.changed(ctx, arm, taskRuns, run); err != nil {
			return nil, err
		}
	}
	if err := p.alike(ctx, taskRuns, run, armOurs, armNull, armPolicy); err != nil {
		return nil, err
	}
	l := &ledger{id: "B3"}
	for _, c := range []int{1, 8} {
		if err := p.latency(ctx, b, l, c, arms, run); err != nil {
			return nil, err
		}
	}
	return l.figures, nil
}

// addSame adds the arms that make the same of an object: ours, the null handler and
// the policies.
func (p *plane) addSame(ctx context.Context, kind, resource string, object []byte) error {
	program, err := servers.Build(ctx, p.dir)
	if err != nil {
		return err
	}
	replica, err := p.addOurs(ctx, program)
	if err != nil {
		return err
	}
	if err := p.changed(ctx, armOurs, resource, object); err != nil {
		return err
	}
	if err := p.addNull(ctx, replica, kind, resource, object); err != nil {
		return err
	}
	return p.addPolicies(ctx)
}

// latency creates an object in all arms in turn, c at a time.
func (p *plane) latency(ctx context.Context, b *bed, l *ledger, c int, arms []string, object []byte) error {
	const blocks, block = 10, 40
	send := func(ctx context.Context, arm string) (time.Duration, error) {
		answer, took, err := p.post.create(ctx, taskRuns, space(arm), object)
		if err == nil {
			err = done(arm, answer)
		}
		return took, err
	}
	inTurn(ctx, arms, 1, c, 100, send) // warm
	for range b.rounds {
		before, err := p.admission(ctx)
		if err != nil {
			return err
		}
		seen := inTurn(ctx, arms, blocks, c, block*min(c, 2), send)
		after, err := p.admission(ctx)
		if err != nil {
			return err
		}
		none := seen[armNone].quantile(0.5)
		for _, arm := range arms {
			s := seen[arm]
			if len(s.failed) > 0 {
				return fmt.Errorf("arm %s: %d of %d creations failed: %w", arm, len(s.failed), len(s.failed)+len(s.took), s.failed[0])
			}
			l.note(fmt.Sprintf("a create, c=%d", c), arm, "ms", s.quantile(0.5))
			if arm != armNone {
				l.note(fmt.Sprintf("added to a create, c=%d", c), arm, "ms", s.quantile(0.5)-none)
			}
		}
		for hook, mean := range after.since(before) {
			l.note(fmt.Sprintf("webhook as the API server sees it, c=%d", c), hook, "ms", mean)
		}
	}
	return ctx.Err()
}
