package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
)

// memory reads a figure of a process, VmRSS or VmHWM, in MiB.
func memory(pid int, figure string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a server: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if digits, found := strings.CutPrefix(line, figure+":"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(digits), "kB")))
			return float64(kib) / 1024, err
		}
	}
	return 0, fmt.Errorf("reading the memory of a server: it has no %s", figure)
}

// resetPeak makes the peak of a process what it has now, and returns that, in MiB.
func resetPeak(pid int) (float64, error) {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return 0, fmt.Errorf("resetting the peak of a server's memory: %w", err)
	}
	return memory(pid, "VmRSS")
}

// mostStarts is how often servers are started anew for a benchmark about memory,
// which hardly differs between rounds.
const mostStarts = 3

// alone is a bed in which every arm is started for each round: what was
// sent before would count. It has a cluster of its own.
type alone struct {
	*bed
	cluster *cluster.Cluster
}

func (b *bed) alone(ctx context.Context) (*alone, error) {
	if _, err := b.nullAnswer(ctx); err != nil { // of the shared server
		return nil, err
	}
	if err := b.stopServers(ctx); err != nil {
		return nil, err
	}
	c, err := b.newCluster(ctx)
	return &alone{b, c}, err
}

// fresh starts an arm, does something with it and stops it.
func (a *alone) fresh(ctx context.Context, arm string, do func(*peers.Server, *target) (Sample, error)) (sample Sample, err error) {
	s, err := a.start(ctx, a.cluster, arm, peers.Options{})
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
	return do(s, targetOf(s, arm, review))
}

// startable returns the arms that can be started, one after the other.
func (a *alone) startable(ctx context.Context, arms ...string) ([]string, error) {
	var can []string
	for _, arm := range arms {
		if a.leftOut(arm) || a.isMissing(arm) {
			continue
		}
		_, err := a.fresh(ctx, arm, func(*peers.Server, *target) (Sample, error) { return nil, nil })
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err == nil:
			can = append(can, arm)
		case arm == armNull || arm == armOurs:
			return nil, err
		default:
			a.lacks(arm, err)
		}
	}
	return can, nil
}
