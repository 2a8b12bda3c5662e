package main

import (
	"bytes"
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
//
// Who overwrites a bundle again and again, as a GitOps tool does that renders one,
// is answered ever later: two that repair each other's work without end have taken
// down etcd elsewhere.
type injector struct {
	client    client.Client
	authority *certs.Authority
	published []byte          // the bundle that the API server can read in both
	listening healthz.Checker // whether the server can be reached
	interval  time.Duration   // between two looks when all is well
	changes   <-chan struct{} // tells of changes to the configurations
	log       logr.Logger
	metrics   *measures
	alarm     *alarm

	repaired time.Time     // when a bundle was put back last
	patience time.Duration // how long after that the next one is, at the soonest
}

const (
	soonest = time.Second     // between the first attempts
	latest  = 5 * time.Second // between the later ones: `tekgate install` waits for one

	unsettled = 2 * time.Second // between two looks while clients learn of the CA

	leastPatience = 250 * time.Millisecond
	mostPatience  = 30 * time.Second
	forgiven      = 2 * time.Minute // without a repair
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
		if i.authority.Settled() != nil {
			wait = min(wait, unsettled)
		}
		if err != nil {
			wait, pause = pause, min(2*pause, latest)
		} else {
			pause = soonest
		}
		if !i.rest(ctx, wait) {
			return nil
		}
	}
}

// rest waits, less long where a configuration changes. It reports false if ctx
// ended first.
func (i *injector) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-i.changes:
		return sleep(ctx, time.Until(i.repaired.Add(i.patience)))
	}
}

// inject has the CA in both configurations, or says why it has not, and tells of
// one that is about to expire.
func (i *injector) inject(ctx context.Context) error {
	err := i.write(ctx)
	if trouble := i.authority.Trouble(); err == nil {
		err = trouble // which keeps nobody from being trusted
	}
	leaf, ca := i.authority.Expiry()
	i.metrics.expire(leaf, ca)
	i.alarm.look(i.authority, err)
	return err
}

// write first takes the newest CA, so that no replica writes an older bundle over a
// newer one.
func (i *injector) write(ctx context.Context) error {
	if err := i.authority.Advance(ctx, i.published); err != nil {
		return err
	}
	bundle := i.authority.CABundle()
	mutating, err := certs.InjectMutating(ctx, i.client, mutatingConfiguration, bundle)
	validating, failure := certs.InjectValidating(ctx, i.client, validatingConfiguration, bundle)
	if bytes.Equal(bundle, i.published) {
		i.note(mutating, mutatingConfiguration)
		i.note(validating, validatingConfiguration)
	}
	err = errors.Join(err, failure)
	if err == nil {
		i.published = bundle
	}
	return err
}

// note tells of a bundle that was there before and had to be written again.
func (i *injector) note(repaired bool, configuration string) {
	if !repaired {
		return
	}
	i.patience = min(2*i.patience, mostPatience)
	if now := time.Now(); now.Sub(i.repaired) > forgiven {
		i.patience = leastPatience
	}
	i.repaired = time.Now()
	i.metrics.repairs.WithLabelValues(configuration).Inc()
	i.log.Info("wrote the caBundle again, which somebody had overwritten: let what applies this object leave out its caBundles", "configuration", configuration)
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
