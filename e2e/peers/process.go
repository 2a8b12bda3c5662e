package peers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/child"
)

// Server is an admission server that runs as a process of its own.
type Server struct {
	// Name is that of the program.
	Name string
	// URL is where it takes reviews of TaskRuns, or of Pods where those are its job.
	URL string
	// CEL is where Kyverno takes them for its MutatingPolicy; empty if it has none, and for
	// others.
	CEL string
	// Address is the host and port of URL.
	Address string
	// CA is the PEM of the CA that signed its certificate.
	CA []byte
	// PID is that of its process.
	PID int
	// Ready is the time from the start of the process until it answered.
	Ready time.Duration

	cmd    *exec.Cmd
	began  time.Time
	exited chan error
	log    *child.Log
	dir    string

	direct client.Client // of Kyverno
}

// launch starts a program. Stop removes dir, which has the program's files.
func launch(ctx context.Context, name, program, dir string, env, args []string) (*Server, error) {
	s := &Server{Name: name, exited: make(chan error, 1), log: &child.Log{}, dir: dir}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, args...) // it ends with Stop
	s.cmd.Dir = dir
	s.cmd.Env = append([]string{"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH")}, env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.began = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	s.PID = s.cmd.Process.Pid
	go func() { s.exited <- s.cmd.Wait() }()
	return s, nil
}

// await calls try until it succeeds, the process ends or two minutes are over.
func (s *Server) await(ctx context.Context, what string, try func(context.Context) error) error {
	var last error
	done := func(ctx context.Context) (bool, error) {
		if err := s.ended(); err != nil {
			return false, err
		}
		last = try(ctx)
		return last == nil, nil
	}
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 2*time.Minute, true, done)
	if err != nil {
		return fmt.Errorf("waiting until %s %s: %w; its log ends:\n%s", s.Name, what, errors.Join(last, err), s.tail())
	}
	return nil
}

// ended returns an error if the process has ended.
func (s *Server) ended() error {
	select {
	case err := <-s.exited:
		s.exited <- err
		return errors.Join(fmt.Errorf("%s ended by itself", s.Name), err)
	default:
		return nil
	}
}

// listens returns a function that succeeds once a connection to the address is accepted.
func listens(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}

// Terminate sends SIGTERM, as the kubelet does, and does not wait.
func (s *Server) Terminate() error { return s.cmd.Process.Signal(syscall.SIGTERM) }

// Exited returns once the process has ended, after Terminate.
func (s *Server) Exited(ctx context.Context) error {
	select {
	case err := <-s.exited:
		s.exited <- err
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the end of %s: %w", s.Name, ctx.Err())
	}
}

// Stop kills the process and removes its files. It may be called more than once.
func (s *Server) Stop() {
	_ = s.cmd.Process.Kill() // it may have ended
	err := <-s.exited
	s.exited <- err
	_ = os.RemoveAll(s.dir)
}

// freePorts returns ports of loopback that are not in use.
func freePorts(ctx context.Context, n int) ([]string, error) {
	var ports []string
	for range n {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer l.Close() // at the end, so that no port is returned twice
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// directory creates one for a server, with the given files.
func directory(files map[string][]byte) (string, error) {
	dir, err := os.MkdirTemp("", "tekgate-peer-")
	if err != nil {
		return "", fmt.Errorf("creating a directory for a peer: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return "", errors.Join(fmt.Errorf("writing a peer's %s: %w", name, err), os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// tail is the end of the log.
func (s *Server) tail() string {
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
