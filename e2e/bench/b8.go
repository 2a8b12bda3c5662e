package main

import (
	"context"
	"errors"
	"time"

	"github.com/tekgate/tekgate/e2e/servers"
)

const (
	endingRate  = 500 // requests a second
	endingWidth = 64
	endingPeer  = 2 // rounds of the peers, which take longer to end
)

func termination() benchmark {
	return benchmark{
		ID: "B8", Title: "One of two replicas is told to end",
		Load: "500 objects a second are created with `dryRun=All` through the API server, with failurePolicy Fail. Behind the webhook's address stand two replicas, which get connections in turn; " +
			"one is sent SIGTERM, and gets no more connections three seconds later, as it takes a node to learn of it. TaskRuns for Tekgate and Gatekeeper; the pod identity webhook is about Pods.",
		Silent: "What a readiness probe or a preStop hook of the peers' charts would change.",
		Goals: []Goal{
			{Text: "failed requests with Tekgate", What: "failed while a replica ended", Over: armOurs, AtMost: limit(0)},
			{Text: "failed requests with the pod identity webhook", What: "failed while a replica ended", Over: armPodIdentity, AtLeast: limit(1)},
		},
		Run: b8,
	}
}

func b8(ctx context.Context, b *bed) ([]Figure, error) {
	l := &ledger{id: "B8"}
	for _, arm := range []string{armOurs, armGatekeeper, armPodIdentity} {
		if b.leftOut(arm) {
			continue
		}
		err := b.endings(ctx, l, arm)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && arm == armOurs:
			return nil, err
		case err != nil:
			b.note("%s was not measured: %s", arm, firstLine(err))
		}
	}
	return l.figures, nil
}

// endings ends replicas of one arm, round by round, on an API server of its own.
func (b *bed) endings(ctx context.Context, l *ledger, arm string) error {
	p, err := newPlane(ctx, b, arm)
	if err != nil {
		return err
	}
	defer p.close()
	d, err := p.deploy(ctx, b, arm)
	if err != nil {
		return err
	}
	rounds := b.rounds
	if arm != armOurs {
		rounds = min(rounds, endingPeer)
	}
	for round := range rounds {
		b.tell("B8, %s", round, arm)
		old, behind := d.last, d.behind
		if err := d.another(ctx); err != nil {
			return err
		}
		if err := d.works(ctx, p); err != nil {
			return err
		}
		seen, span, err := d.end(ctx, p, old, behind)
		if err != nil {
			return err
		}
		l.note("failed while a replica ended", arm, "requests", float64(len(seen.failed)))
		l.note("requests meanwhile", arm, "req/s", float64(len(seen.took)+len(seen.failed))/span.Seconds())
		l.note("p99 meanwhile", arm, "ms", seen.quantile(0.99))
		if len(seen.failed) > 0 {
			b.note("%s: %d requests failed while a replica ended, the first with: %s", arm, len(seen.failed), firstLine(seen.failed[0]))
		}
	}
	return nil
}

// end ends a replica under load, and tells how the requests fared and how long it was.
func (d *deployment) end(ctx context.Context, p *plane, m member, behind *servers.Backend) (sample, time.Duration, error) {
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	result := make(chan sample, 1)
	go func() {
		result <- pace(loaded, endingRate, endingWidth, func(ctx context.Context) (time.Duration, error) { return d.send(ctx, p) })
	}()
	time.Sleep(time.Second)
	err := m.Terminate()
	d.Leave(ctx, behind, func(context.Context) error { return errors.New("it is being ended") })
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = errors.Join(err, m.Exited(waiting))
	time.Sleep(time.Second)
	stop()
	return <-result, time.Since(began), err
}
