package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

func addedLatency() benchmark {
	goals := []Goal{
		{Text: "Tekgate over the null handler with the same patch, one at a time", What: added(1), Over: armOurs, Under: armNull, AtMost: limit(1.10),
			Reason: "what B1 shows: by the API server's own clock Tekgate's part is half a millisecond longer than the null handler's, on two cores that client, API server and etcd share with it."},
		{Text: "the same, eight at a time", What: added(8), Over: armOurs, Under: armNull, AtMost: limit(1.10),
			Reason: "the same; eight at a time wait for two cores."},
		{Text: "Tekgate over policies that the API server evaluates itself", What: added(1), Over: armOurs, Under: armPolicy, AtMost: limit(2)},
		{Text: "Gatekeeper over Tekgate", What: added(1), Over: armGatekeeper, Under: armOurs, AtLeast: limit(1.8),
			Reason: "the call itself, which the null handler shows, is most of what Tekgate adds, and the same for Gatekeeper."},
		{Text: "Kyverno's ClusterPolicy over Tekgate", What: added(1), Over: armKyverno, Under: armOurs, AtLeast: limit(3),
			Reason: "the same."},
	}
	return benchmark{
		ID: "B3", Title: "What admission adds to a create through the API server",
		Load: "A TaskRun of four steps is created with `dryRun=All` in the Namespaces of all arms in turn, forty times each, there and back; " +
			"what is reported is the difference of the median from that of the arm without admission, in the same round. " +
			"The null handler answers with the patch that Tekgate makes, and the policies are those of `tekgate export map`.",
		Silent: "What storing costs, and what a network costs between the API server and its webhooks.",
		Goals:  goals,
		Run:    b3,
	}
}

// added is what is reported of a number of creates at a time.
func added(c int) string { return fmt.Sprintf("added to a create, c=%d", c) }

// b3 measures what admission adds to the creation of a TaskRun through the API
// server: the difference between the medians of an arm and of the one without
// admission, in the same round. Nothing is stored.
func b3(ctx context.Context, b *bed) ([]Figure, error) {
	arms := []string{armNone, armNull, armOurs, armPolicy}
	others := []string{armGatekeeper, armKyverno, armKyvernoCEL}
	p, err := newPlane(ctx, b, slices.Concat(arms, others)...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	run := taskRun()
	if err := p.addSame(ctx, b, "TaskRun", taskRuns, run); err != nil {
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
	running, err := p.addPeers(ctx, b, run, others...)
	if err != nil {
		return nil, err
	}
	arms = append(arms, running...)
	owner, err := p.alone(ctx, run, arms...)
	if err != nil {
		return nil, err
	}
	l := &ledger{id: "B3"}
	for _, c := range []int{1, 8} {
		if err := p.latency(ctx, b, l, c, arms, owner, run); err != nil {
			return nil, err
		}
	}
	return l.figures, nil
}

// addSame adds the arms that make the same of an object: ours, the null handler and
// the policies.
func (p *plane) addSame(ctx context.Context, b *bed, kind, resource string, object []byte) error {
	replica, err := p.addOurs(ctx, b, []string{armOurs}, nil)
	if err != nil {
		return err
	}
	if err := p.changed(ctx, armOurs, resource, object); err != nil {
		return err
	}
	if err := p.addNull(ctx, replica, kind, resource, object); err != nil {
		return err
	}
	return p.addPolicies(ctx, b)
}

// latency creates an object in all arms in turn, c at a time. owner says whose a webhook
// is.
func (p *plane) latency(ctx context.Context, b *bed, l *ledger, c int, arms []string, owner map[string]string, object []byte) error {
	const blocks, block = 6, 40
	send := func(ctx context.Context, arm string) (time.Duration, error) {
		answer, took, err := p.post.create(ctx, taskRuns, space(arm), object)
		if err == nil {
			err = done(arm, answer)
		}
		return took, err
	}
	inTurn(ctx, arms, 1, c, 100, send) // warm
	for round := range b.rounds {
		b.tell("B3, %d at a time", round, c)
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
			if ok, err := b.counts(arm, s); err != nil {
				return err
			} else if !ok {
				continue
			}
			l.note(fmt.Sprintf("a create, c=%d", c), arm, "ms", s.quantile(0.5))
			if arm != armNone {
				l.note(added(c), arm, "ms", s.quantile(0.5)-none)
			}
		}
		for hook, mean := range after.since(before) {
			if arm := owner[hook]; arm != "" {
				l.note(fmt.Sprintf("the webhook's part, mean, as the API server sees it, c=%d", c), arm, "ms", mean)
			}
		}
	}
	return ctx.Err()
}
