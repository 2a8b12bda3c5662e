package main

import (
	"bytes"
	"context"
	"errors"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/mutator"
)

// use measures what it costs to judge the TaskRuns that Tekton's controller creates for a
// PipelineRun, beside those of users.
func use(ctx context.Context, e *environment) ([]report.Figure, error) {
	if e.leftOut(tekgate) {
		return nil, errors.New("tekgate is left out")
	}
	c, err := e.sharedCluster(ctx)
	if err != nil {
		return nil, err
	}
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	s, err := e.start(ctx, c, tekgate, peers.Options{Config: warning(120)})
	if err != nil {
		return nil, err
	}
	defer s.Stop()
	server, err := e.target(ctx, null)
	if err != nil {
		return nil, err
	}
	const ofUser, ofController = tekgate + ", TaskRun of a user", tekgate + ", TaskRun of a PipelineRun"
	targets := map[string]*load.Target{null: server}
	for candidate, body := range map[string][]byte{ofUser: review, ofController: byController(review)} {
		targets[candidate] = &load.Target{Candidate: candidate, URL: "https://" + s.Address + "/validate", CA: s.CA,
			PID: s.PID, Review: body}
	}
	return e.perRequest(ctx, []string{null, ofUser, ofController}, targets)
}

// byController returns a review as if Tekton's controller had sent the request.
func byController(review []byte) []byte {
	return bytes.Replace(review, []byte("system:serviceaccount:ci:default"),
		[]byte(mutator.ControllerOf("tekton-pipelines")), 1)
}
