package main

import (
	"context"
	"errors"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/servers"
)

const (
	terminationRate  = 500 // requests per second
	terminationWidth = 64
	terminationPeer  = 2 // rounds of a peer, which takes longer to exit
)

// termination measures requests while one of two replicas is terminated.
func termination(ctx context.Context, e *environment) ([]report.Figure, error) {
	r := &recorder{}
	for _, candidate := range []string{tekgate, gatekeeper, podIdentity} {
		if e.leftOut(candidate) {
			continue
		}
		err := e.measureTermination(ctx, r, candidate)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && candidate == tekgate:
			return nil, err
		case err != nil:
			e.note("%s was not measured: %s", candidate, firstLine(err))
		}
	}
	return r.figures, nil
}

// measureTermination terminates a replica in each round, on an API server of its own.
func (e *environment) measureTermination(ctx context.Context, r *recorder, candidate string) error {
	p, err := newControlPlane(ctx, e, candidate)
	if err != nil {
		return err
	}
	defer p.close()
	deployed, err := p.deploy(ctx, e, candidate)
	if err != nil {
		return err
	}
	rounds := e.rounds
	if candidate != tekgate {
		rounds = min(rounds, terminationPeer)
	}
	for round := range rounds {
		e.progress(round, "%s", candidate)
		old, backend := deployed.last, deployed.backend
		if err := deployed.add(ctx); err != nil {
			return err
		}
		if err := deployed.works(ctx, p); err != nil {
			return err
		}
		s, span, err := deployed.terminate(ctx, p, old, backend)
		if err != nil {
			return err
		}
		r.record(failedRequests, candidate, "requests", float64(len(s.Failed)))
		r.record(throughputName, candidate, "req/s", float64(s.Sent())/span.Seconds())
		r.record("p99", candidate, "ms", s.P99())
		e.noteFailures(candidate, &s)
	}
	return nil
}

// terminate terminates a replica under load, and returns the requests and the duration.
func (r *replicas) terminate(
	ctx context.Context, p *controlPlane, old process, backend *servers.Backend,
) (load.Sample, time.Duration, error) {
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	result := make(chan load.Sample, 1)
	go func() { result <- load.Pace(loaded, terminationRate, terminationWidth, r.sender(p)) }()
	time.Sleep(time.Second)
	err := old.Terminate()
	r.Leave(ctx, backend, func(context.Context) error { return errors.New("it is being terminated") })
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = errors.Join(err, old.Exited(waiting))
	time.Sleep(time.Second)
	stop()
	return <-result, time.Since(began), err
}
