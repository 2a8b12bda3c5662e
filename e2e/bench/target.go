package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/tekton"
)

// target returns that of a candidate, and starts its shared server on first use.
func (e *environment) target(ctx context.Context, candidate string) (*load.Target, error) {
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	if candidate == tektonDefaulting {
		return e.tektonTarget(ctx, review)
	}
	s, err := e.server(ctx, candidate)
	if err != nil {
		return nil, err
	}
	if candidate == kyvernoCEL && s.CEL == "" {
		return nil, errors.New("kyverno has no MutatingPolicy")
	}
	if candidate == podIdentity {
		if review, err = peers.PodReview(); err != nil {
			return nil, err
		}
	}
	return targetOf(s, candidate, review), nil
}

func targetOf(s *peers.Server, candidate string, review []byte) *load.Target {
	t := &load.Target{Candidate: candidate, URL: s.URL, CA: s.CA, PID: s.PID, Review: review}
	if candidate == kyvernoCEL {
		t.URL = s.CEL
	}
	return t
}

func (e *environment) tektonTarget(ctx context.Context, review []byte) (*load.Target, error) {
	if e.tekton == nil {
		c, err := e.sharedCluster(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(e.log, "starting %s\n", tektonDefaulting)
		if e.tekton, err = tekton.New(ctx, c, tekton.Options{}, e.log); err != nil {
			e.tekton = nil
			return nil, err
		}
	}
	url, err := e.tekton.DefaultingURL(ctx)
	if err != nil {
		return nil, err
	}
	return &load.Target{Candidate: tektonDefaulting, URL: url, PID: e.tekton.PID(), Review: review}, nil
}

// targets returns those of candidates that are available.
func (e *environment) targets(ctx context.Context, candidates ...string) ([]string, error) {
	return e.available(ctx, func(candidate string) error {
		_, err := e.target(ctx, candidate)
		return err
	}, candidates...)
}
