package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// scales are how many RoleBindings there are, and beside them ServiceAccounts and
// Namespaces, as in a cluster of that size.
func scales() []scale { return []scale{{}, {3000, 2000, 200}, {13000, 10000, 1000}} }

type scale struct{ bindings, accounts, spaces int }

func clusterScale() benchmark {
	return benchmark{
		ID: "B5", Title: "The size of the cluster",
		Load: "As B3 one at a time, in an empty cluster, with 3,000 RoleBindings, 2,000 ServiceAccounts and 200 Namespaces, and with 13,000, 10,000 and 1,000. " +
			"The slope is by how much what is added grows with each 1,000 RoleBindings.",
		Silent: "What else a large cluster costs the API server: that is part of the arm without admission, which is subtracted.",
		Goals: []Goal{
			// What is added moves by half a millisecond from one minute to the next on a
			// machine of two cores, so less than 0.05 over 13,000 is nothing.
			{Text: "Tekgate's slope", What: slope, Over: armOurs, AtMost: limit(0.05)},
			{Text: "that of Kyverno's ClusterPolicy", What: slope, Over: armKyverno, AtLeast: limit(0.05)},
		},
		Run: b5,
	}
}

const slope = "growth of what is added, per 1,000 RoleBindings"

// b5 measures the same creates while the cluster grows.
func b5(ctx context.Context, b *bed) ([]Figure, error) {
	arms := []string{armNone, armOurs}
	others := []string{armGatekeeper, armKyverno, armKyvernoCEL}
	p, err := newPlane(ctx, b, slices.Concat(arms, others)...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	run := taskRun()
	if _, err := p.addOurs(ctx, b, []string{armOurs}, nil); err != nil {
		return nil, err
	}
	if err := p.changed(ctx, armOurs, taskRuns, run); err != nil {
		return nil, err
	}
	running, err := p.addPeers(ctx, b, run, others...)
	if err != nil {
		return nil, err
	}
	arms = append(arms, running...)
	if _, err := p.alone(ctx, run, arms...); err != nil {
		return nil, err
	}
	l := &ledger{id: "B5"}
	if err := p.grow(ctx, b, l, arms, run); err != nil {
		return nil, err
	}
	return l.figures, nil
}

// grow measures at each scale, and then how what is added has grown.
func (p *plane) grow(ctx context.Context, b *bed, l *ledger, arms []string, object []byte) error {
	added := map[string][][]float64{} // by arm: of each scale, the rounds
	for i, scale := range scales() {
		began := time.Now()
		if i > 0 {
			if err := p.furnish(ctx, scales()[i-1], scale); err != nil {
				return err
			}
			b.note("%d RoleBindings, %d ServiceAccounts and %d Namespaces were there after %.0f s", scale.bindings, scale.accounts, scale.spaces, time.Since(began).Seconds())
			time.Sleep(5 * time.Second) // until all have read them
		}
		rounds, err := p.addedTo(ctx, b, arms, object)
		if err != nil {
			return err
		}
		for arm, values := range rounds {
			added[arm] = append(added[arm], values)
			for _, value := range values {
				l.note(fmt.Sprintf("added to a create with %d RoleBindings", scale.bindings), arm, "ms", value)
			}
		}
	}
	last := len(scales()) - 1
	for _, arm := range arms {
		if len(added[arm]) <= last { // the one without admission, and one that failed
			continue
		}
		for _, grown := range zip(added[arm][last], added[arm][0], func(now, first float64) float64 { return now - first }) {
			l.note(slope, arm, "ms", grown/float64(scales()[last].bindings)*1000)
		}
	}
	return ctx.Err()
}

// addedTo returns what each arm adds to a create, round by round.
func (p *plane) addedTo(ctx context.Context, b *bed, arms []string, object []byte) (map[string][]float64, error) {
	send := func(ctx context.Context, arm string) (time.Duration, error) {
		answer, took, err := p.post.create(ctx, taskRuns, space(arm), object)
		if err == nil {
			err = done(arm, answer)
		}
		return took, err
	}
	inTurn(ctx, arms, 1, 1, 100, send) // warm
	rounds := map[string][]float64{}
	for round := range b.rounds {
		b.tell("B5", round)
		seen := inTurn(ctx, arms, 6, 1, 40, send)
		for _, arm := range arms {
			ok, err := b.counts(arm, seen[arm])
			if err != nil {
				return nil, err
			}
			if ok && arm != armNone {
				rounds[arm] = append(rounds[arm], seen[arm].quantile(0.5)-seen[armNone].quantile(0.5))
			}
		}
	}
	return rounds, ctx.Err()
}

// furnish brings a cluster from one scale to the next.
func (p *plane) furnish(ctx context.Context, from, to scale) error {
	spaceOf := func(i int) string { return fmt.Sprintf("team-%d", i%to.spaces) }
	err := p.createMany(ctx, from.spaces, to.spaces, func(i int) (string, map[string]any) {
		return "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": fmt.Sprintf("team-%d", i)}}
	})
	if err != nil {
		return err
	}
	err = p.createMany(ctx, from.accounts, to.accounts, func(i int) (string, map[string]any) {
		return collection("api/v1/serviceaccounts", spaceOf(i)),
			map[string]any{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": map[string]any{"name": fmt.Sprintf("account-%d", i)}}
	})
	if err != nil {
		return err
	}
	return p.createMany(ctx, from.bindings, to.bindings, func(i int) (string, map[string]any) {
		subject := map[string]any{"kind": "ServiceAccount", "name": fmt.Sprintf("account-%d", i), "namespace": spaceOf(i)}
		return collection("apis/rbac.authorization.k8s.io/v1/rolebindings", spaceOf(i)), map[string]any{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": map[string]any{"name": fmt.Sprintf("binding-%d", i)},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
			"subjects": []any{subject},
		}
	})
}

// createMany creates the objects of the numbers from one on to before the other.
func (p *plane) createMany(ctx context.Context, from, to int, object func(i int) (path string, fields map[string]any)) error {
	var next atomic.Int64
	next.Store(int64(from))
	seen := together(ctx, 32, to-from, func(ctx context.Context) (time.Duration, error) {
		path, fields := object(int(next.Add(1) - 1))
		_, took, err := p.post.send(ctx, http.MethodPost, path, "application/json", encode(fields))
		return took, err
	})
	return errors.Join(seen.complaint("of the cluster"), ctx.Err())
}
