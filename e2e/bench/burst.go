package main

import (
	"context"
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

const (
	burstSize    = 500
	burstWidth   = 100 // at once
	burstTasks   = 4   // of a PipelineRun, with four steps each
	burstTimeout = 2   // of all webhooks, in seconds
)

// burst measures many runs that are created at once.
func burst(ctx context.Context, e *environment) ([]report.Figure, error) {
	b := &bursts{env: e}
	pipelines := newJob(pipelineRuns, pipelineRun(burstTasks))
	if err := b.run(ctx, pipelines, []string{noAdmission, null, tekgate, tekgateValidating}, nil); err != nil {
		return nil, err
	}
	candidates, others := []string{noAdmission, null, tekgate}, []string{gatekeeper, kyvernoPolicy, kyvernoCEL}
	return b.figures, b.run(ctx, newJob(taskRuns, taskRun("build")), candidates, others)
}

type bursts struct {
	recorder
	env *environment
}

// run measures bursts of one kind on an API server of their own.
func (b *bursts) run(ctx context.Context, j job, candidates, others []string) error {
	p, err := newControlPlane(ctx, b.env, slices.Concat(candidates, others)...)
	if err != nil {
		return err
	}
	defer p.close()
	p.timeout = burstTimeout
	mutated, validated := []string{tekgate}, []string(nil)
	if slices.Contains(candidates, tekgateValidating) {
		mutated, validated = append(mutated, tekgateValidating), []string{tekgateValidating}
	}
	replica, err := p.addTekgate(ctx, b.env, j, mutated, validated)
	if err != nil {
		return err
	}
	if err := p.addNull(ctx, b.env, replica, j); err != nil {
		return err
	}
	running, err := p.addPeers(ctx, b.env, j, others...)
	if err != nil {
		return err
	}
	candidates = append(slices.Clone(candidates), running...)
	if err := p.works(ctx, j, candidates...); err != nil {
		return err
	}
	if err := p.noteTimeouts(ctx, b.env); err != nil {
		return err
	}
	return b.measure(ctx, p, j, candidates)
}

func (b *bursts) measure(ctx context.Context, p *controlPlane, j job, candidates []string) error {
	kind := fmt.Sprintf("%vs", j.object["kind"])
	load.InTurn(ctx, candidates, 1, 8, 50, p.creator(j)) // warm up
	for round := range b.env.rounds {
		b.env.progress(round, "%s", kind)
		samples := load.InTurn(ctx, candidates, 1, burstWidth, burstSize, p.creator(j))
		for _, candidate := range candidates {
			s := samples[candidate]
			b.env.noteFailures(candidate+", "+kind, s)
			b.record(kind+", failed", candidate, "requests", float64(len(s.Failed)))
			b.record(kind+", p50", candidate, "ms", s.Median())
			b.record(kind+", p99", candidate, "ms", s.P99())
		}
		if ctx.Err() != nil {
			return fmt.Errorf("creating a burst: %w", ctx.Err())
		}
	}
	return nil
}

// noteTimeouts notes the webhooks that have another timeout than they were given.
func (p *controlPlane) noteTimeouts(ctx context.Context, e *environment) error {
	var registered admissionv1.MutatingWebhookConfigurationList
	if err := p.client.List(ctx, &registered); err != nil {
		return fmt.Errorf("reading the timeouts of the webhooks: %w", err)
	}
	for _, configuration := range registered.Items {
		for _, hook := range configuration.Webhooks {
			if int64(*hook.TimeoutSeconds) != p.timeout {
				e.note("The webhook %s has a timeout of %d s.", hook.Name, *hook.TimeoutSeconds)
			}
		}
	}
	return nil
}
