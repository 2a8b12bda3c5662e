package node

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/tekgate/tekgate/e2e/child"
)

// RestartAPIServer ends the API server at once, and starts it again after a while.
func (n *Node) RestartAPIServer(ctx context.Context, away time.Duration) error {
	if err := n.Cluster.KillAPIServer(); err != nil {
		return err
	}
	err := pause(ctx, away)
	return errors.Join(err, n.Cluster.StartAPIServer())
}

// StopEtcd keeps etcd from running for a while, as when its disk hangs: connections to it
// stay open, and nothing is answered.
func (n *Node) StopEtcd(ctx context.Context, away time.Duration) error {
	pids, err := child.Find("/etcd\x00") // of the node's own processes
	if err != nil {
		return err
	}
	if len(pids) != 1 {
		return fmt.Errorf("finding etcd's process: there are %d, not one", len(pids))
	}
	pid := pids[0]
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stopping etcd: %w", err)
	}
	err = pause(ctx, away)
	return errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
}

func pause(ctx context.Context, span time.Duration) error {
	select {
	case <-time.After(span):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
