package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/tekton"
)

// bed is what the benchmarks share: an API server, and the arms that run beside it.
// Both are started when somebody asks for them first.
type bed struct {
	options
	talk     io.Writer
	identity *peers.Identity
	notes    []string
	missing  []Missing

	shared   *cluster.Cluster // by the arms that are asked directly
	clusters []*cluster.Cluster
	servers  map[string]*peers.Server // by program; those that are shared
	tekton   *tekton.Webhook
	answer   []byte // what null answers
	programs string // the folder of what build has built
}

// Missing is an arm that is not there.
type Missing struct{ Arm, Reason string }

func newBed(o options, talk io.Writer) (*bed, error) {
	identity, err := peers.NewIdentity()
	return &bed{options: o, talk: talk, identity: identity, servers: map[string]*peers.Server{}}, err
}

// note adds a sentence to the report of the benchmark that runs.
func (b *bed) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

func (b *bed) takeNotes() []string {
	notes := b.notes
	b.notes = nil
	return notes
}

// newCluster starts an API server with Tekton's kinds, for one benchmark or for
// several. It is stopped at the end of the run.
func (b *bed) newCluster(ctx context.Context) (*cluster.Cluster, error) {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		return nil, fmt.Errorf("the peers change what they find in a cluster, and %s names one that is in use", cluster.KubeconfigEnv)
	}
	c, err := cluster.New(ctx, b.talk)
	if err != nil {
		return nil, err
	}
	b.clusters = append(b.clusters, c)
	return c, peers.Furnish(ctx, c)
}

// sharedCluster is the one that all arms run beside that are asked directly.
func (b *bed) sharedCluster(ctx context.Context) (*cluster.Cluster, error) {
	if b.shared != nil {
		return b.shared, nil
	}
	c, err := b.newCluster(ctx)
	if err == nil {
		b.shared = c
	}
	return c, err
}

// programs says which process an arm is, where one is two arms.
func program(arm string) string {
	if arm == armKyvernoCEL {
		return armKyverno
	}
	return arm
}

// start runs an arm beside a cluster. The caller stops it. Tekton's is not among
// them: it comes from package tekton.
func (b *bed) start(ctx context.Context, c *cluster.Cluster, arm string, o peers.Options) (*peers.Server, error) {
	o.Identity, o.Log = b.identity, b.talk
	switch arm {
	case armNull, armKubebuilder:
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program: %w", err)
		}
		answer, err := b.nullAnswer(ctx)
		if err != nil {
			return nil, err
		}
		return peers.StartBaseline(ctx, self, arm, answer, o)
	case armOurs:
		return b.startOurs(ctx, c, o)
	case armGatekeeper:
		return peers.StartGatekeeper(ctx, c, o)
	case armKyverno, armKyvernoCEL:
		return peers.StartKyverno(ctx, c, o)
	case armPodIdentity:
		return peers.StartPodIdentity(ctx, c, o)
	default:
		return nil, fmt.Errorf("there is no arm %q", arm)
	}
}

func (b *bed) startOurs(ctx context.Context, c *cluster.Cluster, o peers.Options) (*peers.Server, error) {
	if o.Config == "" {
		o.Config = everyRule
	}
	var err error
	if o.Program, err = b.build(ctx, "webhook"); err != nil {
		return nil, err
	}
	return peers.StartTekgate(ctx, c, o)
}

// everyRule is the configuration of Tekgate with every rule of the mutator on, and the
// validator's as they are by default.
var everyRule = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmutator:\n  " +
	strings.ReplaceAll(strings.TrimSpace(baseline.Configuration), "\n", "\n  ") + "\n"

// nullAnswer is the answer of Tekgate to the review of the benchmarks, so that null
// sends as many bytes; without Tekgate it is that of the kubebuilder idiom.
func (b *bed) nullAnswer(ctx context.Context) ([]byte, error) {
	if b.answer != nil {
		return b.answer, nil
	}
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	if b.leftOut(armOurs) {
		handler, err := baseline.Kubebuilder()
		if err != nil {
			return nil, err
		}
		recorder := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", strings.NewReader(string(review)))
		request.Header.Set("Content-Type", "application/json")
		(&admission.Webhook{Handler: handler}).ServeHTTP(recorder, request)
		b.answer = recorder.Body.Bytes()
		return b.answer, nil
	}
	s, err := b.server(ctx, armOurs)
	if err != nil {
		return nil, err
	}
	caller := peers.Caller(s.CA, true)
	defer caller.CloseIdleConnections()
	answer, text, err := peers.Ask(ctx, caller, s.URL, review)
	if err != nil {
		return nil, err
	}
	for _, part := range peers.Job() {
		if !strings.Contains(string(answer.Response.Patch), part) {
			return nil, fmt.Errorf("the patch of Tekgate lacks %q: %s", part, answer.Response.Patch)
		}
	}
	b.answer = text
	return text, nil
}

// leftOut tells whether an arm is one of --without.
func (b *bed) leftOut(arm string) bool {
	return slices.ContainsFunc(b.without, func(name string) bool { return named(arm, name) })
}

// named tells whether a name on the command line means an arm: "kyverno" means both of
// Kyverno's.
func named(arm, name string) bool { return arm == name || strings.HasPrefix(arm, name+" ") }

// server returns the shared server of an arm.
func (b *bed) server(ctx context.Context, arm string) (*peers.Server, error) {
	name := program(arm)
	if s := b.servers[name]; s != nil {
		return s, nil
	}
	var c *cluster.Cluster
	if arm != armNull && arm != armKubebuilder {
		var err error
		if c, err = b.sharedCluster(ctx); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(b.talk, "starting %s\n", name)
	s, err := b.start(ctx, c, name, peers.Options{})
	if err == nil {
		b.servers[name] = s
	}
	return s, err
}

// available starts arms and returns those that run. One of a peer that does not is
// missing in the report; without null or Tekgate there is nothing to report.
func (b *bed) available(ctx context.Context, arms ...string) ([]string, error) {
	var running []string
	for _, arm := range arms {
		if b.leftOut(arm) || b.isMissing(arm) {
			continue
		}
		_, err := b.target(ctx, arm)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && (arm == armNull || arm == armOurs):
			return nil, fmt.Errorf("starting %s: %w", arm, err)
		case err != nil:
			b.lacks(arm, err)
		default:
			running = append(running, arm)
		}
	}
	return running, nil
}

// lacks notes that an arm is missing. The report does not repeat why: errors name files.
func (b *bed) lacks(arm string, err error) {
	fmt.Fprintf(b.talk, "%s is missing: %v\n", arm, err)
	b.missing = append(b.missing, Missing{arm, "it did not start; the run said why"})
}

func (b *bed) isMissing(arm string) bool {
	return slices.ContainsFunc(b.missing, func(m Missing) bool { return m.Arm == arm })
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// stopServers ends all shared servers: what is measured next runs alone.
func (b *bed) stopServers(ctx context.Context) error {
	var errs []error
	for name, s := range b.servers {
		s.Stop()
		errs = append(errs, s.Unregister(ctx))
		delete(b.servers, name)
	}
	if b.tekton != nil {
		errs = append(errs, b.tekton.Stop(ctx))
		b.tekton = nil
	}
	return errors.Join(errs...)
}

func (b *bed) close(ctx context.Context) error {
	err := b.stopServers(context.WithoutCancel(ctx))
	if b.programs != "" {
		err = errors.Join(err, os.RemoveAll(b.programs))
	}
	for _, c := range b.clusters {
		err = errors.Join(err, c.Stop())
	}
	return err
}
