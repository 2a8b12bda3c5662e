package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// The herd.
const (
	herdSize  = 500
	herdWidth = 100 // at a time
	herdTasks = 4   // of a PipelineRun, with four steps each

	herdTimeout = 2 // seconds, of all webhooks
)

func herd() benchmark {
	const errs, p99 = "PipelineRuns at once: failed", "PipelineRuns at once: p99"
	return benchmark{
		ID: "B12", Title: "Five hundred runs at once",
		Load: "500 PipelineRuns of four embedded tasks with four steps each are created with `dryRun=All`, a hundred at a time, in one arm after the other; and 500 TaskRuns, which the peers have policies for. " +
			"All webhooks have a time-out of two seconds and failurePolicy Fail.",
		Silent: "How many runs a cluster can start: nothing is stored, and Tekton's controller sees none of them.",
		Goals: []Goal{
			{Text: "failed creations of PipelineRuns with Tekgate's mutating webhooks", What: errs, Over: armOurs, AtMost: limit(0)},
			{Text: "and with the validating ones, too", What: errs, Over: armJudged, AtMost: limit(0)},
			{Text: "p99 with Tekgate over p99 without admission", What: p99, Over: armOurs, Under: armNone, AtMost: limit(1.5),
				Reason: "the null handler, which any webhook is slower than, takes twice as long as no admission: a hundred calls at a time wait for the two cores that etcd and the API server use, too."},
			{Text: "p99 with Tekgate over the null handler's with the same patch", What: p99, Over: armOurs, Under: armNull, AtMost: limit(1.15),
				Reason: "the same."},
		},
		Run: b12,
	}
}

// b12 creates a herd in every arm in turn.
func b12(ctx context.Context, b *bed) ([]Figure, error) {
	l := &ledger{id: "B12"}
	arms := []string{armNone, armNull, armOurs, armJudged}
	if err := b.stampede(ctx, l, "PipelineRun", pipelineRuns, pipelineRun(herdTasks), arms, nil); err != nil {
		return nil, err
	}
	arms, others := []string{armNone, armNull, armOurs}, []string{armGatekeeper, armKyverno, armKyvernoCEL}
	return l.figures, b.stampede(ctx, l, "TaskRun", taskRuns, taskRun(), arms, others)
}

// stampede measures herds of one kind on an API server of their own.
func (b *bed) stampede(ctx context.Context, l *ledger, kind, resource string, object []byte, arms, others []string) error {
	p, err := newPlane(ctx, b, slices.Concat(arms, others)...)
	if err != nil {
		return err
	}
	defer p.close()
	p.timeout = herdTimeout
	mutated, judged := []string{armOurs}, []string(nil)
	if slices.Contains(arms, armJudged) {
		mutated, judged = append(mutated, armJudged), []string{armJudged}
	}
	replica, err := p.addOurs(ctx, b, mutated, judged)
	if err != nil {
		return err
	}
	if err := p.changed(ctx, armOurs, resource, object); err != nil {
		return err
	}
	if err := p.addNull(ctx, replica, kind, resource, object); err != nil {
		return err
	}
	running, err := p.addPeers(ctx, b, object, others...)
	if err != nil {
		return err
	}
	arms = append(slices.Clone(arms), running...)
	for _, arm := range arms {
		if err := p.changed(ctx, arm, resource, object); err != nil {
			return err
		}
	}
	if err := p.noteTimeouts(ctx, b); err != nil {
		return err
	}
	return p.stampedes(ctx, b, l, kind, resource, object, arms)
}

func (p *plane) stampedes(ctx context.Context, b *bed, l *ledger, kind, resource string, object []byte, arms []string) error {
	send := func(ctx context.Context, arm string) (time.Duration, error) {
		answer, took, err := p.post.create(ctx, resource, space(arm), object)
		if err == nil {
			err = done(arm, answer)
		}
		return took, err
	}
	inTurn(ctx, arms, 1, 8, 50, send) // warm
	for round := range b.rounds {
		b.tell("B12, %ss", round, kind)
		all := inTurn(ctx, arms, 1, herdWidth, herdSize, send)
		for _, arm := range arms {
			seen := all[arm]
			if len(seen.failed) > 0 {
				b.note("%s: %d of %d %ss failed, the first with: %v", arm, len(seen.failed), herdSize, kind, firstLine(seen.failed[0]))
			}
			l.note(kind+"s at once: failed", arm, "requests", float64(len(seen.failed)))
			l.note(kind+"s at once: p50", arm, "ms", seen.quantile(0.5))
			l.note(kind+"s at once: p99", arm, "ms", seen.quantile(0.99))
		}
		if ctx.Err() != nil {
			return fmt.Errorf("creating a herd: %w", ctx.Err())
		}
	}
	return nil
}

// noteTimeouts says which webhooks have another time-out than they were given.
func (p *plane) noteTimeouts(ctx context.Context, b *bed) error {
	var registered admissionv1.MutatingWebhookConfigurationList
	if err := p.client.List(ctx, &registered); err != nil {
		return fmt.Errorf("reading the time-outs of the webhooks: %w", err)
	}
	for _, configuration := range registered.Items {
		for _, hook := range configuration.Webhooks {
			if int64(*hook.TimeoutSeconds) != p.timeout {
				b.note("the webhook %s has a time-out of %d s", hook.Name, *hook.TimeoutSeconds)
			}
		}
	}
	return nil
}
