package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

const (
	manager    = client.FieldOwner(wellknown.Interceptor)
	firstRetry = time.Second // doubled after each failure, up to the usual pause
)

// publisher keeps the ClusterInterceptor as it should be. Every replica does, and
// all of them write the same bytes, so nobody has to be elected.
type publisher struct {
	client client.Client
	want   *unstructured.Unstructured
	log    logr.Logger
}

// keeper publishes the ClusterInterceptor at intervals. While the CA is replaced the
// caBundle changes, and the authority takes its next step only after the new one is
// published.
type keeper struct {
	publisher
	to        target
	authority *certs.Authority
	every     time.Duration
	alarm     server.Alarm
	status    server.Status // the last error

	published []byte // the bundle that clients can read
}

// run publishes until ctx ends. An error is logged once, and the write is tried again: Tekton
// Triggers may be installed later than this server.
func (k *keeper) run(ctx context.Context) {
	retries := workqueue.NewTypedItemExponentialFailureRateLimiter[string](min(firstRetry, k.every), k.every)
	for {
		changed, err := k.round(ctx)
		if ctx.Err() != nil {
			return
		}
		k.alarm.Check(ctx, k.authority, errors.Join(err, k.authority.Trouble()))
		k.report(changed, err)
		pause := k.pause(err)
		if err != nil {
			pause = min(pause, retries.When(""))
		} else {
			retries.Forget("")
		}
		if !server.Sleep(ctx, pause, nil) {
			return
		}
	}
}

func (k *keeper) report(changed bool, err error) {
	if err != nil {
		if k.status.Changed(err.Error()) {
			k.log.Error(err, "ClusterInterceptor tekgate is not published; trying again")
		}
		return
	}
	if k.status.Changed("") || changed {
		k.log.Info("ClusterInterceptor tekgate is published", "changed", changed)
	}
}

// unsettledInterval is the pause while clients read the CA, or until cert-manager issues a
// certificate.
const unsettledInterval = 2 * time.Second

// pause returns the longest time until the next round, and ends the wait for EventListeners
// if there cannot be any.
func (k *keeper) pause(err error) time.Duration {
	if errors.Is(err, errNoTriggers) {
		k.authority.Settle()
	}
	if k.authority.Settled() != nil {
		return min(k.every, unsettledInterval)
	}
	return k.every
}

// round first takes the newest CA, so that no replica publishes an older bundle
// over a newer one.
func (k *keeper) round(ctx context.Context) (changed bool, err error) {
	if err := k.authority.Advance(ctx, k.published); err != nil {
		return false, err
	}
	bundle := k.authority.CABundle()
	k.want = k.to.clusterInterceptor(bundle)
	changed, err = k.publish(ctx)
	if err == nil {
		k.published = bundle
	}
	return changed, err
}

// publish makes the object equal to the wanted one, and reports whether it had to.
func (p publisher) publish(ctx context.Context) (changed bool, err error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(p.want.GroupVersionKind())
	err = p.client.Get(ctx, client.ObjectKeyFromObject(p.want), live)
	if err != nil && !apierrors.IsNotFound(err) { // an absent kind is an error
		return false, explain("reading", err)
	}
	if err == nil && isEqual(live, p.want) {
		return false, nil
	}
	if err == nil {
		if err := p.prune(ctx, live); err != nil {
			return false, explain("repairing", err)
		}
	}
	// Forced: whoever else wrote one of these fields sent events elsewhere.
	err = p.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(p.want.DeepCopy()), manager,
		client.ForceOwnership)
	if err != nil {
		return false, explain("writing", err)
	}
	return true, nil
}

// prune removes what others added to the specification, such as a url, which
// Triggers prefers to our service. An apply cannot remove it, and is refused while
// both are there.
func (p publisher) prune(ctx context.Context, live *unstructured.Unstructured) error {
	extra := surplus(specOf(live), specOf(p.want))
	if len(extra) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"spec": extra})
	if err != nil {
		return err
	}
	return p.client.Patch(ctx, live, client.RawPatch(types.MergePatchType, patch), manager)
}

// surplus returns the JSON merge patch that takes away what live has beyond want.
func surplus(live, want map[string]any) map[string]any {
	patch := map[string]any{}
	for key, value := range live {
		wanted, found := want[key]
		if !found {
			patch[key] = nil
			continue
		}
		inner, isMap := value.(map[string]any)
		wantedInner, wantsMap := wanted.(map[string]any)
		if !isMap || !wantsMap {
			continue
		}
		if extra := surplus(inner, wantedInner); len(extra) > 0 {
			patch[key] = extra
		}
	}
	return patch
}

func isEqual(live, want *unstructured.Unstructured) bool {
	labels := live.GetLabels()
	merged := maps.Clone(labels)
	if merged == nil {
		return false
	}
	maps.Copy(merged, want.GetLabels())
	return maps.Equal(labels, merged) && reflect.DeepEqual(specOf(live), specOf(want))
}

func specOf(u *unstructured.Unstructured) map[string]any {
	spec, _, _ := unstructured.NestedMap(u.Object, "spec")
	return spec
}

var errNoTriggers = errors.New(
	"this cluster serves no ClusterInterceptors; install Tekton Triggers, for example with `tekgate install`")

// explain says what is missing and where it comes from.
func explain(doing string, err error) error {
	switch {
	case kube.Absent(err):
		return fmt.Errorf("%s it: %w", doing, errNoTriggers)
	case apierrors.IsForbidden(err):
		return fmt.Errorf(
			"%s it: the ServiceAccount needs get, patch and create on clusterinterceptors.triggers.tekton.dev: %w",
			doing, err)
	}
	return fmt.Errorf("%s it: %w", doing, err)
}
