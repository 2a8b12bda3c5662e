package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/tekgate/tekgate/internal/certs"
)

// The webhook configurations of an installation, which `tekgate install` makes.
const (
	mutatingConfiguration   = "mutate.tekgate.dev"
	validatingConfiguration = "validate.tekgate.dev"
)

// injector keeps the CA in the webhook configurations. Every replica does so,
// without a leader: all write the same bytes, and none where they stand already.
// While the CA is replaced the bytes change, and the authority goes on only once
// both configurations hold the new ones.
type injector struct {
	client    client.Client
	authority *certs.Authority
	published []byte          // the bundle that the API server can read in both
	listening healthz.Checker // whether the server can be reached
	interval  time.Duration   // between two looks when all is well
	log       logr.Logger
}

const (
	soonest = time.Second     // between the first attempts
	latest  = 5 * time.Second // between the later ones: `tekgate install` waits for one
)

// NeedLeaderElection tells the manager to run it in every replica.
func (*injector) NeedLeaderElection() bool { return false }

// Start looks after the bundles until ctx ends. The configurations may be absent
// for as long as they like: who starts the server first installs them later.
func (i *injector) Start(ctx context.Context) error {
	for i.listening(nil) != nil {
		if !sleep(ctx, soonest/10) {
			return nil
		}
	}
	pause, told := soonest, ""
	for {
		err := i.inject(ctx)
		told = i.tell(err, told)
		wait := i.interval
		if err != nil {
			wait, pause = pause, min(2*pause, latest)
		} else {
			pause = soonest
		}
		if !sleep(ctx, wait) {
			return nil
		}
	}
}

// inject first takes the newest CA, so that no replica writes an older bundle over
// a newer one.
func (i *injector) inject(ctx context.Context) error {
	if err := i.authority.Advance(ctx, i.published); err != nil {
		return err
	}
	bundle := i.authority.CABundle()
	err := errors.Join(
		certs.InjectMutating(ctx, i.client, mutatingConfiguration, bundle),
		certs.InjectValidating(ctx, i.client, validatingConfiguration, bundle),
	)
	if err == nil {
		i.published = bundle
	}
	return err
}

// tell logs what has changed since it told the last time, and returns that.
func (i *injector) tell(err error, told string) string {
	now := "the API server trusts this server"
	if err != nil {
		now = err.Error()
	}
	if now != told {
		i.log.Info(now)
	}
	return now
}

// sleep reports false if ctx ended first.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
