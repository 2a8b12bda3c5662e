package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

// latency measures what admission adds to the creation of a TaskRun through the API
// server: the difference of a candidate's median from that of no admission in the same
// round.
func latency(ctx context.Context, e *environment) ([]report.Figure, error) {
	candidates := []string{noAdmission, null, tekgate, admissionPolicy}
	others := []string{gatekeeper, kyvernoPolicy, kyvernoCEL}
	p, err := newControlPlane(ctx, e, slices.Concat(candidates, others)...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	j := newJob(taskRuns, taskRun("build"))
	if err := p.addSame(ctx, e, j); err != nil {
		return nil, err
	}
	running, err := p.addPeers(ctx, e, j, others...)
	if err != nil {
		return nil, err
	}
	candidates = append(candidates, running...)
	owner, err := p.owners(ctx, j, candidates...)
	if err != nil {
		return nil, err
	}
	l := &latencies{controlPlane: p, env: e, job: j, candidates: candidates, owner: owner}
	for _, clients := range []int{1, 8} {
		if err := l.measure(ctx, clients); err != nil {
			return nil, err
		}
	}
	return l.figures, nil
}

// addSame adds the candidates that make exactly the same of a TaskRun, and checks this.
func (p *controlPlane) addSame(ctx context.Context, e *environment, j job) error {
	replica, err := p.addTekgate(ctx, e, j, []string{tekgate}, nil)
	if err != nil {
		return err
	}
	if err := p.addNull(ctx, e, replica, j); err != nil {
		return err
	}
	if err := p.addPolicies(ctx, e); err != nil {
		return err
	}
	if err := p.works(ctx, j, noAdmission, null, tekgate, admissionPolicy); err != nil {
		return err
	}
	return p.checkSame(ctx, j, tekgate, null, admissionPolicy)
}

// latencies measures creates with different numbers of clients.
type latencies struct {
	*controlPlane
	recorder
	env        *environment
	job        job
	candidates []string
	owner      map[string]string // the candidate of each webhook
}

func (l *latencies) measure(ctx context.Context, clients int) error {
	const blocks, block = 6, 40
	suffix := fmt.Sprintf(", %d clients", clients)
	if clients == 1 {
		suffix = ", 1 client"
	}
	load.InTurn(ctx, l.candidates, 1, clients, 100, l.creator(l.job)) // warm up
	for round := range l.env.rounds {
		l.env.progress(round, "%d at a time", clients)
		before, err := l.webhookCalls(ctx)
		if err != nil {
			return err
		}
		samples := load.InTurn(ctx, l.candidates, blocks, clients, block*min(clients, 2), l.creator(l.job))
		after, err := l.webhookCalls(ctx)
		if err != nil {
			return err
		}
		for _, candidate := range l.candidates {
			s := samples[candidate]
			if ok, err := l.env.usable(candidate, s); err != nil {
				return err
			} else if !ok {
				continue
			}
			l.record("create"+suffix, candidate, "ms", s.Median())
			if candidate != noAdmission {
				l.record("added to a create"+suffix, candidate, "ms", s.Median()-samples[noAdmission].Median())
			}
		}
		for hook, mean := range after.since(before) {
			if candidate := l.owner[hook]; candidate != "" {
				l.record("webhook call"+suffix, candidate, "ms", mean)
			}
		}
	}
	return ctx.Err()
}

// usable reports whether a sample can be recorded. Failed requests of a peer become a
// note, those of other candidates an error.
func (e *environment) usable(candidate string, s *load.Sample) (bool, error) {
	if len(s.Failed) == 0 {
		return true, nil
	}
	if !slices.Contains([]string{gatekeeper, kyvernoPolicy, kyvernoCEL}, candidate) {
		return false, s.Err(candidate)
	}
	e.noteFailures(candidate, s)
	return len(s.Took) > len(s.Failed), nil
}

// noteFailures adds a note if requests failed.
func (e *environment) noteFailures(what string, s *load.Sample) {
	if len(s.Failed) > 0 {
		e.note("%s: %d of %d requests failed, the first with: `%s`",
			what, len(s.Failed), s.Sent(), firstLine(s.Failed[0]))
	}
}

// progress prints which round begins.
func (e *environment) progress(round int, format string, args ...any) {
	fmt.Fprintf(e.log, format+": round %d of %d\n", append(args, round+1, e.rounds)...)
}
