package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tekgate/tekgate/e2e/child"
)

// Options configure a replica of the admission server.
type Options struct {
	Program    string   // see Build
	Kubeconfig string   // see Limit
	Config     string   // path of its configuration file
	Args       []string // more flags
}

// Replica is a process of the admission server. It serves HTTPS at Address.
type Replica struct {
	Address string // host and port of reviews
	Logs    *child.Log

	cmd             *exec.Cmd
	health, metrics string
	ended           chan struct{}
	err             error // of the process, once it has ended
}

// Start starts a replica and waits until it is ready. The caller ends it with Terminate or
// Kill.
func Start(ctx context.Context, o Options) (*Replica, error) {
	r := &Replica{Logs: &child.Log{}, ended: make(chan struct{})}
	for _, address := range []*string{&r.Address, &r.health, &r.metrics} {
		free, err := child.FreeAddress(ctx)
		if err != nil {
			return nil, err
		}
		*address = free
	}
	args := append([]string{
		"--kubeconfig", o.Kubeconfig, "--config", o.Config, "--bind-address", r.Address,
		"--health-bind-address", r.health, "--metrics-bind-address", r.metrics,
	}, o.Args...)
	// ctx does not kill the process, because Terminate ends it.
	r.cmd = exec.CommandContext(context.WithoutCancel(ctx), o.Program, args...)
	r.cmd.Env = append(os.Environ(), "GOMEMLIMIT=200MiB") // as in manifests/tekgate/400-webhook.yaml
	r.cmd.Stderr = r.Logs
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the admission server: %w", err)
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.ended)
	}()
	if err := r.await(ctx); err != nil {
		r.Kill()
		return nil, err
	}
	return r, nil
}

func (r *Replica) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := r.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-r.ended:
			return fmt.Errorf("starting the admission server: it ended with %w; its log:\n%s", r.err, r.Logs)
		case <-ctx.Done():
			return fmt.Errorf("waiting until the admission server is ready: %w; its log:\n%s", err, r.Logs)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Ready asks the replica's probe, as the kubelet does.
func (r *Replica) Ready(ctx context.Context) error { return Probe(ctx, "http://"+r.health+"/readyz") }

// Probe returns an error unless a URL answers with 200.
func Probe(ctx context.Context, url string) error {
	_, err := read(ctx, url)
	return err
}

func read(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("got %s", response.Status)
	}
	return io.ReadAll(response.Body)
}

// Terminate sends SIGTERM, as the kubelet does, and returns at once.
func (r *Replica) Terminate() error { return r.cmd.Process.Signal(syscall.SIGTERM) }

// Ended waits for the end of the process, and returns its error.
func (r *Replica) Ended(ctx context.Context) error {
	select {
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return errors.Join(ctx.Err(), errors.New("the admission server has not ended"))
	}
}

// PID is that of the process.
func (r *Replica) PID() int { return r.cmd.Process.Pid }

// Kill kills the process and waits for its end.
func (r *Replica) Kill() {
	_ = r.cmd.Process.Kill() // it may have ended
	<-r.ended
}

// Metric returns the sum of the process's series that begin with prefix.
func (r *Replica) Metric(ctx context.Context, prefix string) (sum float64, err error) {
	page, err := read(ctx, "http://"+r.metrics+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
		if err != nil {
			return 0, fmt.Errorf("reading the metric %q: %w", line, err)
		}
		sum += value
	}
	return sum, nil
}
