package peers

import (
	"context"
	"errors"
	"io"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// Options say how a server is run.
type Options struct {
	// Register makes the API server call it, for creations of TaskRuns. Kyverno
	// registers itself, whatever is said here, for as long as it runs.
	Register bool
	// Config is the text of Tekgate's configuration; the others have policies.
	Config string
	// Identity is the certificate of those that do not make their own.
	Identity *Identity
	// Log hears about slow steps.
	Log io.Writer
}

// StartTekgate runs Tekgate's own admission server, built from this module, with the
// rights of its manifests.
func StartTekgate(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	return nil, errors.New("not yet")
}

// StartGatekeeper runs Gatekeeper with its mutators.
func StartGatekeeper(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	return nil, errors.New("not yet")
}

// StartKyverno runs Kyverno with a ClusterPolicy and, at another path, a
// MutatingPolicy that do the same.
func StartKyverno(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	return nil, errors.New("not yet")
}

// StartPodIdentity runs the pod identity webhook, which mutates Pods: a job of its
// own.
func StartPodIdentity(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	return nil, errors.New("not yet")
}
