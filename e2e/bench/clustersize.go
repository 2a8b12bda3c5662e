package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
)

// size is the number of objects in a cluster.
type size struct{ bindings, accounts, namespaces int }

func sizes() []size { return []size{{}, {3000, 2000, 200}, {13000, 10000, 1000}} }

// clusterSize measures the latency benchmark with one client while the cluster grows.
func clusterSize(ctx context.Context, e *environment) ([]report.Figure, error) {
	candidates := []string{noAdmission, tekgate}
	others := []string{gatekeeper, kyvernoPolicy, kyvernoCEL}
	p, err := newControlPlane(ctx, e, slices.Concat(candidates, others)...)
	if err != nil {
		return nil, err
	}
	defer p.close()
	j := newJob(taskRuns, taskRun("build"))
	if _, err := p.addTekgate(ctx, e, j, []string{tekgate}, nil); err != nil {
		return nil, err
	}
	running, err := p.addPeers(ctx, e, j, others...)
	if err != nil {
		return nil, err
	}
	candidates = append(candidates, running...)
	if _, err := p.owners(ctx, j, candidates...); err != nil {
		return nil, err
	}
	return p.measureGrowth(ctx, e, j, candidates)
}

// measureGrowth measures at each size, and computes how much "added" has grown.
func (p *controlPlane) measureGrowth(
	ctx context.Context, e *environment, j job, candidates []string,
) ([]report.Figure, error) {
	r := &recorder{}
	added := map[string][][]float64{} // by candidate: the rounds of each size
	for i, now := range sizes() {
		if i > 0 {
			began := time.Now()
			if err := p.grow(ctx, sizes()[i-1], now); err != nil {
				return nil, err
			}
			e.note("%d RoleBindings, %d ServiceAccounts and %d Namespaces were created in %.0f s.",
				now.bindings, now.accounts, now.namespaces, time.Since(began).Seconds())
			time.Sleep(5 * time.Second) // until all caches have them
		}
		rounds, err := p.addedTo(ctx, e, j, candidates)
		if err != nil {
			return nil, err
		}
		for _, candidate := range candidates {
			added[candidate] = append(added[candidate], rounds[candidate])
			for _, value := range rounds[candidate] {
				r.record(fmt.Sprintf("added with %d RoleBindings", now.bindings), candidate, "ms", value)
			}
		}
	}
	thousands := float64(sizes()[len(sizes())-1].bindings) / 1000
	for _, candidate := range candidates {
		first, last := added[candidate][0], added[candidate][len(sizes())-1]
		for i := range min(len(first), len(last)) {
			r.record("growth per 1,000 RoleBindings", candidate, "ms", (last[i]-first[i])/thousands)
		}
	}
	return r.figures, ctx.Err()
}

// addedTo returns what each candidate adds to a create, by round.
func (p *controlPlane) addedTo(
	ctx context.Context, e *environment, j job, candidates []string,
) (map[string][]float64, error) {
	load.InTurn(ctx, candidates, 1, 1, 100, p.creator(j)) // warm up
	rounds := map[string][]float64{}
	for round := range e.rounds {
		e.progress(round, "creating")
		samples := load.InTurn(ctx, candidates, 6, 1, 40, p.creator(j))
		for _, candidate := range candidates {
			ok, err := e.usable(candidate, samples[candidate])
			if err != nil {
				return nil, err
			}
			if ok && candidate != noAdmission {
				difference := samples[candidate].Median() - samples[noAdmission].Median()
				rounds[candidate] = append(rounds[candidate], difference)
			}
		}
	}
	return rounds, ctx.Err()
}

// grow creates the objects between two sizes.
func (p *controlPlane) grow(ctx context.Context, from, to size) error {
	namespaceOf := func(i int) string { return fmt.Sprintf("team-%d", i%to.namespaces) }
	object := func(apiVersion, kind, name string) map[string]any {
		return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name}}
	}
	err := p.createMany(ctx, from.namespaces, to.namespaces, func(i int) (string, map[string]any) {
		return "/api/v1/namespaces", object("v1", "Namespace", fmt.Sprintf("team-%d", i))
	})
	if err != nil {
		return err
	}
	err = p.createMany(ctx, from.accounts, to.accounts, func(i int) (string, map[string]any) {
		return collection("api/v1/serviceaccounts", namespaceOf(i)),
			object("v1", "ServiceAccount", fmt.Sprintf("account-%d", i))
	})
	if err != nil {
		return err
	}
	return p.createMany(ctx, from.bindings, to.bindings, func(i int) (string, map[string]any) {
		binding := object("rbac.authorization.k8s.io/v1", "RoleBinding", fmt.Sprintf("binding-%d", i))
		binding["roleRef"] = map[string]any{
			"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view",
		}
		binding["subjects"] = []any{map[string]any{
			"kind": "ServiceAccount", "name": fmt.Sprintf("account-%d", i), "namespace": namespaceOf(i),
		}}
		return collection("apis/rbac.authorization.k8s.io/v1/rolebindings", namespaceOf(i)), binding
	})
}

// createMany creates the objects with the numbers from (inclusive) to (exclusive).
func (p *controlPlane) createMany(
	ctx context.Context, from, to int, object func(i int) (path string, fields map[string]any),
) error {
	var next atomic.Int64
	next.Store(int64(from))
	s := load.Together(ctx, 32, to-from, func(ctx context.Context) (time.Duration, error) {
		path, fields := object(int(next.Add(1) - 1))
		_, took, err := p.api.send(ctx, http.MethodPost, path, "application/json", encode(fields))
		return took, err
	})
	return errors.Join(s.Err("growing the cluster"), ctx.Err())
}
