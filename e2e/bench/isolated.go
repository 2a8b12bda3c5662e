package main

import (
	"context"
	"errors"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
)

// mostStarts is how often servers are started for figures that hardly differ between
// rounds.
const mostStarts = 3

// isolated is an environment in which each candidate is started for each round, because
// earlier requests would change the figures. It has a cluster of its own.
type isolated struct {
	*environment
	cluster *cluster.Cluster
}

func (e *environment) isolate(ctx context.Context) (*isolated, error) {
	if _, err := e.nullAnswer(ctx); err != nil { // of the shared server
		return nil, err
	}
	if err := e.stopServers(ctx); err != nil {
		return nil, err
	}
	c, err := e.newCluster(ctx)
	return &isolated{e, c}, err
}

// fresh starts a candidate, calls do and stops the candidate.
func (i *isolated) fresh(
	ctx context.Context, candidate string, do func(*peers.Server, *load.Target) (scores, error),
) (scored scores, err error) {
	s, err := i.start(ctx, i.cluster, candidate, peers.Options{})
	if err != nil {
		return nil, err
	}
	defer func() {
		s.Stop()
		err = errors.Join(err, s.Unregister(ctx))
	}()
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	return do(s, targetOf(s, candidate, review))
}

// startable starts and stops candidates, and returns those for which this works.
func (i *isolated) startable(ctx context.Context, candidates ...string) ([]string, error) {
	return i.available(ctx, func(candidate string) error {
		_, err := i.fresh(ctx, candidate, func(*peers.Server, *load.Target) (scores, error) { return nil, nil })
		return err
	}, candidates...)
}
