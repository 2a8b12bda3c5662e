package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	pid, err := running("etcd")
	if err != nil {
		return err
	}
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

// running returns the process of the node that runs a program.
func running(program string) (pid int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(text)) == program {
			return strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	return 0, fmt.Errorf("there is no process of the program %s", program)
}
