package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/tekton"
)

// target is where an arm takes reviews, and the review that it is sent.
type target struct {
	arm    string
	url    string
	ca     []byte // nil trusts everybody: what is measured is not trust
	pid    int
	review []byte
}

// target returns that of an arm, which runs.
func (b *bed) target(ctx context.Context, arm string) (*target, error) {
	review, err := baseline.Review(baseline.TaskRun())
	if err != nil {
		return nil, err
	}
	if arm == armTekton {
		return b.tektonTarget(ctx, review)
	}
	s, err := b.server(ctx, arm)
	if err != nil {
		return nil, err
	}
	if arm == armPodIdentity {
		if review, err = peers.PodReview(); err != nil {
			return nil, err
		}
	}
	return targetOf(s, arm, review), nil
}

func targetOf(s *peers.Server, arm string, review []byte) *target {
	t := &target{arm: arm, url: s.URL, ca: s.CA, pid: s.PID, review: review}
	if arm == armKyvernoCEL {
		t.url = s.CEL
	}
	return t
}

func (b *bed) tektonTarget(ctx context.Context, review []byte) (*target, error) {
	if b.tekton == nil {
		c, err := b.sharedCluster(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(b.talk, "starting %s\n", armTekton)
		if b.tekton, err = tekton.New(ctx, c, tekton.Options{}, b.talk); err != nil {
			b.tekton = nil
			return nil, err
		}
	}
	url, err := b.tekton.DefaultingURL(ctx)
	if err != nil {
		return nil, err
	}
	return &target{arm: armTekton, url: url, pid: b.tekton.PID(), review: review}, nil
}

func (t *target) caller(keep bool) *http.Client { return peers.Caller(t.ca, keep) }
