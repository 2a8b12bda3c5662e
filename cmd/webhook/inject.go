package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// injector keeps the CA in the webhook configurations. Every replica does so: all write the
// same bytes, and nothing if the bytes are there already. While the CA is replaced the
// bytes change, and the authority takes its next step only after both configurations have
// the new ones.
//
// A backoff delays the repair of a bundle that another client keeps overwriting, as GitOps
// tools do that render one.
type injector struct {
	server.EveryReplica
	client    client.Client
	authority *certs.Authority
	published []byte          // the bundle that the API server can read in both
	listening healthz.Checker // whether the server can be reached
	interval  time.Duration   // between two rounds without an error
	changes   server.Notifier // of the configurations
	log       logr.Logger
	metrics   *measures
	alarm     *server.Alarm

	backoff server.Backoff // of repairs
	status  server.Status
}

const (
	firstRetry   = time.Second
	longestRetry = 5 * time.Second // `tekgate install` waits for one

	listenInterval    = 100 * time.Millisecond
	unsettledInterval = 2 * time.Second // between two rounds while clients read the CA
)

// Start keeps the bundles until ctx ends. The configurations may be absent for any time:
// the server may be started before they are installed.
func (i *injector) Start(ctx context.Context) error {
	_ = wait.PollUntilContextCancel(ctx, listenInterval, true, func(context.Context) (bool, error) {
		return i.listening(nil) == nil, nil
	})
	retries := workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, longestRetry)
	for ctx.Err() == nil {
		err := i.inject(ctx)
		i.report(err)
		pause := i.interval
		if i.authority.Settled() != nil {
			pause = min(pause, unsettledInterval)
		}
		if err != nil {
			pause = retries.When("")
		} else {
			retries.Forget("")
		}
		i.rest(ctx, pause)
	}
	return nil
}

// rest waits until the next round: for a time or until a configuration changes, and then
// for the backoff.
func (i *injector) rest(ctx context.Context, pause time.Duration) {
	_ = server.Sleep(ctx, pause, i.changes) && server.Sleep(ctx, i.backoff.Remaining(), nil)
}

// inject makes both configurations hold the CA, or returns why they do not, and warns about
// a certificate that is about to expire.
func (i *injector) inject(ctx context.Context) error {
	err := i.write(ctx)
	if trouble := i.authority.Trouble(); err == nil {
		err = trouble // clients trust the server all the same
	}
	leaf, ca := i.authority.Expiry()
	i.metrics.expire(leaf, ca)
	i.alarm.Check(ctx, i.authority, err)
	return err
}

// write first takes the newest CA, so that no replica writes an older bundle over a
// newer one.
func (i *injector) write(ctx context.Context) error {
	if err := i.authority.Advance(ctx, i.published); err != nil {
		return err
	}
	bundle := i.authority.CABundle()
	mutating, err := certs.InjectMutating(ctx, i.client, wellknown.MutatingConfiguration, bundle)
	validating, failure := certs.InjectValidating(ctx, i.client, wellknown.ValidatingConfiguration, bundle)
	if bytes.Equal(bundle, i.published) {
		i.note(mutating, wellknown.MutatingConfiguration)
		i.note(validating, wellknown.ValidatingConfiguration)
	}
	err = errors.Join(err, failure)
	if err == nil {
		i.published = bundle
	}
	return err
}

// note counts and logs a bundle that was there before and had to be written again.
func (i *injector) note(repaired bool, configuration string) {
	if !repaired {
		return
	}
	i.backoff.Wrote()
	i.metrics.repairs.WithLabelValues(configuration).Inc()
	i.log.Info("wrote the caBundle again, which another client had overwritten: "+
		"leave the caBundles out of what is applied to this object", "configuration", configuration)
}

// report logs a result that differs from the one before.
func (i *injector) report(err error) {
	text := "the API server trusts this server"
	if err != nil {
		text = err.Error()
	}
	if i.status.Changed(text) {
		i.log.Info(text)
	}
}
