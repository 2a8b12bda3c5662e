package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// environment is what the benchmarks share: an API server, and candidates that run beside
// it and are asked directly. Each is started on first use.
type environment struct {
	options
	log      io.Writer
	identity *peers.Identity
	notes    []string // of the running benchmark
	missing  []string // candidates that did not start

	shared   *cluster.Cluster // of the candidates that are asked directly
	clusters []*cluster.Cluster
	servers  map[string]*peers.Server // by program
	tekton   *tekton.Webhook
	answer   []byte // what null answers
	programs string // the directory of the programs that build has built
}

func newEnvironment(o options, log io.Writer) (*environment, error) {
	identity, err := peers.NewIdentity()
	return &environment{options: o, log: log, identity: identity, servers: map[string]*peers.Server{}}, err
}

// note adds a sentence to the report of the running benchmark.
func (e *environment) note(format string, args ...any) {
	e.notes = append(e.notes, fmt.Sprintf(format, args...))
}

func (e *environment) takeNotes() []string {
	notes := e.notes
	e.notes = nil
	return notes
}

// newCluster starts an API server with Tekton's kinds. It runs until close.
func (e *environment) newCluster(ctx context.Context) (*cluster.Cluster, error) {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		return nil, fmt.Errorf("unset %s: the peers change the cluster, so it must be a new one", cluster.KubeconfigEnv)
	}
	c, err := cluster.New(ctx, e.log)
	if err != nil {
		return nil, err
	}
	e.clusters = append(e.clusters, c)
	return c, peers.Prepare(ctx, c)
}

func (e *environment) sharedCluster(ctx context.Context) (*cluster.Cluster, error) {
	if e.shared != nil {
		return e.shared, nil
	}
	c, err := e.newCluster(ctx)
	if err == nil {
		e.shared = c
	}
	return c, err
}

// program returns the process that a candidate is. Kyverno is two candidates.
func program(candidate string) string {
	if candidate == kyvernoCEL {
		return kyvernoPolicy
	}
	return candidate
}

// start starts a candidate beside a cluster. The caller stops it. Tekton's webhook is
// started by package tekton instead.
func (e *environment) start(
	ctx context.Context, c *cluster.Cluster, candidate string, o peers.Options,
) (*peers.Server, error) {
	o.Identity, o.Log = e.identity, e.log
	switch candidate {
	case null, kubebuilder:
		answer, err := e.nullAnswer(ctx)
		if err != nil {
			return nil, err
		}
		return startBaseline(ctx, candidate, answer, o)
	case tekgate:
		return e.startTekgate(ctx, c, o)
	case gatekeeper:
		return peers.StartGatekeeper(ctx, c, o)
	case kyvernoPolicy, kyvernoCEL:
		return peers.StartKyverno(ctx, c, o)
	case podIdentity:
		return peers.StartPodIdentity(ctx, c, o)
	default:
		return nil, fmt.Errorf("there is no candidate %q", candidate)
	}
}

// startBaseline starts this program as a handler of package baseline.
func startBaseline(ctx context.Context, kind string, answer []byte, o peers.Options) (*peers.Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return peers.StartBaseline(ctx, self, kind, answer, o)
}

func (e *environment) startTekgate(ctx context.Context, c *cluster.Cluster, o peers.Options) (*peers.Server, error) {
	if o.Config == "" {
		o.Config = everyRule
	}
	var err error
	if o.Program, err = e.build(ctx, "webhook"); err != nil {
		return nil, err
	}
	return peers.StartTekgate(ctx, c, o)
}

// everyRule turns every mutator rule on, and leaves the validator at its defaults.
var everyRule = "apiVersion: " + wellknown.APIVersion + "\nkind: Configuration\nmutator:\n  " +
	strings.ReplaceAll(strings.TrimSpace(baseline.Configuration), "\n", "\n  ") + "\n"

// nullAnswer returns Tekgate's answer to the review of the benchmarks, so that null sends
// as many bytes. Without Tekgate it is the answer of the kubebuilder candidate.
func (e *environment) nullAnswer(ctx context.Context) (answer []byte, err error) {
	if e.answer != nil {
		return e.answer, nil
	}
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	if e.leftOut(tekgate) {
		e.answer, err = kubebuilderAnswer(ctx, review)
		return e.answer, err
	}
	s, err := e.server(ctx, tekgate)
	if err != nil {
		return nil, err
	}
	e.answer, err = askTekgate(ctx, s.CA, s.URL, review)
	return e.answer, err
}

func kubebuilderAnswer(ctx context.Context, review []byte) ([]byte, error) {
	handler, err := baseline.Kubebuilder()
	if err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(string(review)))
	request.Header.Set("Content-Type", "application/json")
	(&admission.Webhook{Handler: handler}).ServeHTTP(recorder, request)
	return recorder.Body.Bytes(), nil
}

// askTekgate returns Tekgate's answer to a review, after checking its patch.
func askTekgate(ctx context.Context, ca []byte, url string, review []byte) ([]byte, error) {
	caller := peers.Caller(ca, true)
	defer caller.CloseIdleConnections()
	answer, text, err := peers.Ask(ctx, caller, url, review)
	if err != nil {
		return nil, fmt.Errorf("asking Tekgate for its patch: %w", err)
	}
	for _, part := range peers.Job() {
		if !strings.Contains(string(answer.Response.Patch), part) {
			return nil, fmt.Errorf("the patch of Tekgate lacks %q: %s", part, answer.Response.Patch)
		}
	}
	return text, nil
}

// leftOut reports whether --without names a candidate.
func (e *environment) leftOut(candidate string) bool {
	return slices.ContainsFunc(e.without, func(name string) bool { return named(candidate, name) })
}

// server returns the shared server of a candidate.
func (e *environment) server(ctx context.Context, candidate string) (*peers.Server, error) {
	name := program(candidate)
	if s := e.servers[name]; s != nil {
		return s, nil
	}
	var c *cluster.Cluster
	if candidate != null && candidate != kubebuilder {
		var err error
		if c, err = e.sharedCluster(ctx); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(e.log, "starting %s\n", name)
	s, err := e.start(ctx, c, name, peers.Options{})
	if err == nil {
		e.servers[name] = s
	}
	return s, err
}

// available tries candidates with start and returns those that run. The report lists a
// peer that fails as missing; null and Tekgate must not fail.
func (e *environment) available(
	ctx context.Context, start func(candidate string) error, candidates ...string,
) ([]string, error) {
	var running []string
	for _, candidate := range candidates {
		if e.leftOut(candidate) || slices.Contains(e.missing, candidate) {
			continue
		}
		err := start(candidate)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && (candidate == null || candidate == tekgate):
			return nil, fmt.Errorf("starting %s: %w", candidate, err)
		case err != nil:
			e.lacks(candidate, err)
		default:
			running = append(running, candidate)
		}
	}
	return running, nil
}

// lacks records a missing candidate. The report has no errors, since they name files.
func (e *environment) lacks(candidate string, err error) {
	fmt.Fprintf(e.log, "%s is missing: %v\n", candidate, err)
	e.missing = append(e.missing, candidate)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// build builds a command of this module, once per run, and returns its path.
func (e *environment) build(ctx context.Context, command string) (string, error) {
	if e.programs == "" {
		dir, err := os.MkdirTemp("", "tekgate-bench-")
		if err != nil {
			return "", fmt.Errorf("creating a directory for programs: %w", err)
		}
		e.programs = dir
	}
	program := filepath.Join(e.programs, command)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Fprintf(e.log, "building %s\n", command)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program,
		"github.com/tekgate/tekgate/cmd/"+command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", command, err, out)
	}
	return program, nil
}

// stopServers stops all shared servers, before a benchmark that needs the machine alone.
func (e *environment) stopServers(ctx context.Context) error {
	var errs []error
	for name, s := range e.servers {
		s.Stop()
		errs = append(errs, s.Unregister(ctx))
		delete(e.servers, name)
	}
	if e.tekton != nil {
		errs = append(errs, e.tekton.Stop(ctx))
		e.tekton = nil
	}
	return errors.Join(errs...)
}

func (e *environment) close(ctx context.Context) error {
	err := e.stopServers(context.WithoutCancel(ctx))
	if e.programs != "" {
		err = errors.Join(err, os.RemoveAll(e.programs))
	}
	for _, c := range e.clusters {
		err = errors.Join(err, c.Stop())
	}
	return err
}
