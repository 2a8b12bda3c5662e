package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tekgate/tekgate/e2e/peers"
)

// attack is something that nobody should send.
type attack struct {
	name string
	run  func(context.Context, *target)
}

func attacks() []attack {
	return []attack{
		{"a body of 200 MB", sendLarge},
		{"1,000 slow connections", sendSlowly},
		{"deep JSON", sendDeep},
	}
}

// whatBefore is what the p99 of others is compared with.
const whatBefore = "p99 of others before"

func growth(name string) string { return "growth, " + name }
func slower(name string) string { return "p99 of others, " + name }

func hostile() benchmark {
	b := benchmark{
		ID: "B10", Title: "Hostile requests",
		Load: "Somebody sends one body of 200 MB, once announced and once not; opens 1,000 connections within two seconds and ends no request; or sends JSON that is up to three million levels deep. " +
			"Meanwhile one client asks as in B1, every two milliseconds. Growth is the peak of the process's memory over what it had before; the p99 of others is in multiples of what it was without the attack. Three starts at most.",
		Silent: "The limits of memory that a Pod has, at which the servers that grow would be killed; and what the attack costs the network. The attacker and the others run on the servers' cores, which slows all arms.",
		Run:    b10,
	}
	for _, a := range attacks() {
		b.Goals = append(b.Goals,
			Goal{Text: "MiB by which Tekgate grows by " + a.name, What: growth(a.name), Over: armOurs, AtMost: limit(32)},
			Goal{Text: "p99 of others beside " + a.name + ", in multiples of before", What: slower(a.name), Over: armOurs, AtMost: limit(2), Reason: "the attacker works on the same two cores, and slows the null handler, which reads no JSON, as much or more."})
	}
	return b
}

func b10(ctx context.Context, b *bed) ([]Figure, error) {
	a, err := b.alone(ctx)
	if err != nil {
		return nil, err
	}
	arms, err := a.startable(ctx, armNull, armOurs, armKubebuilder, armGatekeeper, armKyverno)
	if err != nil {
		return nil, err
	}
	units := []Unit{{whatBefore, "ms"}}
	for _, one := range attacks() {
		units = append(units, Unit{growth(one.name), "MiB"}, Unit{slower(one.name), "×"})
	}
	return a.measure(ctx, Series{
		ID: "B10", Arms: arms, Rounds: mostStarts, Units: units,
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			return a.fresh(ctx, arm, func(s *peers.Server, t *target) (Sample, error) { return attacked(ctx, s, t) })
		},
	})
}

// attacked measures one server. It is warm before, since usual requests make it grow
// too.
func attacked(ctx context.Context, s *peers.Server, t *target) (Sample, error) {
	caller := t.caller(true)
	defer caller.CloseIdleConnections()
	if _, err := t.ask(ctx, caller, load{clients: 8, keep: true, count: 3000}); err != nil {
		return nil, err
	}
	usual := func(stop <-chan struct{}) (outcome, error) { return t.askSlowly(ctx, caller, stop) }
	quiet := make(chan struct{})
	time.AfterFunc(2*time.Second, func() { close(quiet) })
	before, err := usual(quiet)
	if err != nil {
		return nil, err
	}
	sample := Sample{whatBefore: millis(before.quantile(0.99))}
	for _, a := range attacks() {
		had, err := resetPeak(s.PID)
		if err != nil {
			return nil, err
		}
		over, attacked := make(chan struct{}), error(nil)
		go func() {
			defer close(over)
			attacked = t.attack(ctx, a.name)
			time.Sleep(time.Second / 2) // for some usual requests more
		}()
		during, err := usual(over)
		<-over
		if err := errors.Join(err, attacked); err != nil {
			return nil, fmt.Errorf("asking beside %s: %w", a.name, err)
		}
		peak, err := memory(s.PID, "VmHWM")
		if err != nil {
			return nil, err
		}
		sample[growth(a.name)] = peak - had
		sample[slower(a.name)] = float64(during.quantile(0.99)) / float64(before.quantile(0.99))
	}
	return sample, nil
}

// askSlowly asks every two milliseconds until it is stopped, but a few times at least.
func (t *target) askSlowly(ctx context.Context, caller *http.Client, stop <-chan struct{}) (outcome, error) {
	var out outcome
	for {
		select {
		case <-stop:
			if len(out.took) >= 20 {
				return out, nil
			}
		case <-time.After(2 * time.Millisecond):
		}
		start := time.Now()
		if err := t.once(ctx, caller); err != nil {
			return out, err
		}
		out.took = append(out.took, time.Since(start))
	}
}
