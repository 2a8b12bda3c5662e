package installer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// LeaseName is the Lease that an install holds while it writes.
const LeaseName = "tekgate-install"

// leaseTime is how long a Lease lasts that is not renewed. Shorter times end installs
// when the API server is slow; longer ones keep the next install waiting after one that
// was killed.
const leaseTime = 15 * time.Second

// renewals is how often a Lease is renewed while it would last.
const renewals = 5

var leaseKind = schema.GroupVersionKind{Group: "coordination.k8s.io", Version: "v1", Kind: "Lease"}

// HeldError says that another install runs.
type HeldError struct {
	Holder string
	Since  time.Time // when it began
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s has been changing this installation since %s (Lease %s/%s): wait until it has ended, and run the same command again",
		e.Holder, e.Since.UTC().Format(time.RFC3339), Namespace, LeaseName)
}

// errLost says that the Lease was lost to another install.
var errLost = errors.New("the Lease " + Namespace + "/" + LeaseName +
	" was lost, because it could not be renewed in time or was deleted, so that another install may have begun")

// Exclusively calls do while it holds the Lease of this installation, whose namespace must
// exist. The context of do ends when the Lease is lost. If another holder is alive,
// Exclusively fails with a HeldError.
//
// Clocks of different machines are not compared. Whether a holder is alive is seen by its
// renewals: a Lease that stays the same for the time that it lasts is taken over. waiting
// reports that the caller waits for this.
func Exclusively(ctx context.Context, c client.Client, lasts time.Duration, waiting func(string),
	do func(context.Context) error) error {
	if lasts == 0 {
		lasts = leaseTime
	}
	l := &lease{client: c, lasts: lasts}
	if err := l.acquire(ctx, waiting); err != nil {
		return err
	}
	defer l.release(ctx)
	held, lose := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		l.keep(held, lose)
	}()
	err := do(held)
	lost := errors.Is(context.Cause(held), errLost)
	lose(nil)
	<-stopped
	if err != nil && lost {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return err
}

// lease is the Lease of one holder. Every write has the resourceVersion of the one
// before, so that of two writers one fails.
type lease struct {
	client client.Client
	lasts  time.Duration
	held   *unstructured.Unstructured
}

// acquire creates the Lease, or takes over one that is not renewed.
func (l *lease) acquire(ctx context.Context, waiting func(string)) error {
	for {
		mine := l.fresh()
		err := l.client.Create(ctx, mine, client.FieldOwner(FieldManager))
		if err == nil {
			l.held = mine
			return nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("taking %s, so that no other install runs at the same time: %w", kube.Name(mine), err)
		}
		gone, err := l.takeOver(ctx, waiting)
		if err != nil || !gone {
			return err
		}
	}
}

// fresh returns a Lease of this process.
func (l *lease) fresh() *unstructured.Unstructured {
	obj := NewObject(leaseKind, Namespace, LeaseName)
	obj.SetLabels(map[string]string{"app.kubernetes.io/part-of": "tekgate"})
	now := microTime(time.Now())
	obj.Object["spec"] = map[string]any{
		"holderIdentity":       holder(),
		"leaseDurationSeconds": max(int64(l.lasts.Seconds()), 1),
		"acquireTime":          now,
		"renewTime":            now,
	}
	return obj
}

// takeOver watches another holder's Lease. It fails if the holder renews it, takes it over
// if it does not, and reports whether it was released.
func (l *lease) takeOver(ctx context.Context, waiting func(string)) (gone bool, err error) {
	seen, err := l.read(ctx)
	if err != nil || seen == nil {
		return seen == nil && err == nil, err
	}
	waiting(fmt.Sprintf("%s, which %s holds and has to renew", kube.Name(seen), holderOf(seen)))
	for deadline := time.Now().Add(l.lasts); time.Now().Before(deadline); {
		if err := sleep(ctx, l.lasts/(4*renewals)); err != nil {
			return false, err
		}
		now, err := l.read(ctx)
		if err != nil || now == nil {
			return now == nil && err == nil, err
		}
		if now.GetResourceVersion() != seen.GetResourceVersion() {
			return false, held(now)
		}
	}
	mine := l.fresh()
	mine.SetResourceVersion(seen.GetResourceVersion())
	mine.SetUID(seen.GetUID())
	err = l.client.Update(ctx, mine, client.FieldOwner(FieldManager))
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err): // another install was faster
		return true, nil
	case err != nil:
		return false, fmt.Errorf("taking over %s: %w", kube.Name(mine), err)
	}
	l.held = mine
	return false, nil
}

func (l *lease) read(ctx context.Context) (*unstructured.Unstructured, error) {
	return kube.NewReader(l.client).Get(ctx, leaseKind, Namespace, LeaseName)
}

// keep renews the Lease until ctx ends, and calls lose if that fails for as long as the
// Lease lasts.
func (l *lease) keep(ctx context.Context, lose context.CancelCauseFunc) {
	renewed := time.Now()
	for sleep(ctx, l.lasts/renewals) == nil {
		err := l.renew(ctx)
		switch {
		case err == nil:
			renewed = time.Now()
		case ctx.Err() != nil:
			return
		case apierrors.IsConflict(err), apierrors.IsNotFound(err), time.Since(renewed) > l.lasts-l.lasts/renewals:
			lose(errLost)
			return
		}
	}
}

func (l *lease) renew(ctx context.Context) error {
	// An API server that does not answer must not be waited for until the Lease is over.
	// The end of ctx does not cancel a renewal, which may have been written by then.
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), l.lasts/renewals)
	defer done()
	next := l.held.DeepCopy()
	if err := unstructured.SetNestedField(next.Object, microTime(time.Now()), "spec", "renewTime"); err != nil {
		return err
	}
	err := l.client.Update(ctx, next, client.FieldOwner(FieldManager))
	if apierrors.IsConflict(err) {
		// The renewal before may have been written although its answer was lost.
		if now, failure := l.read(ctx); failure == nil && now != nil && l.isMine(now) {
			next, err = now, nil
		}
	}
	if err != nil {
		return err
	}
	l.held = next
	return nil
}

// isMine reports whether a Lease is the one that was acquired here.
func (l *lease) isMine(now *unstructured.Unstructured) bool {
	return now.GetUID() == l.held.GetUID() && holderOf(now) == holderOf(l.held) &&
		live.Text(now.Object, "spec", "acquireTime") == live.Text(l.held.Object, "spec", "acquireTime")
}

// release deletes the Lease if it is still this holder's. If it cannot be deleted, the
// next install takes it over.
func (l *lease) release(ctx context.Context) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), l.lasts)
	defer done()
	uid := l.held.GetUID()
	revision := l.held.GetResourceVersion()
	_ = l.client.Delete(ctx, l.held, client.Preconditions{UID: &uid, ResourceVersion: &revision})
}

func held(by *unstructured.Unstructured) error {
	since, err := time.Parse(time.RFC3339, live.Text(by.Object, "spec", "acquireTime"))
	if err != nil {
		since = by.GetCreationTimestamp().Time
	}
	return &HeldError{Holder: holderOf(by), Since: since}
}

func holderOf(lease *unstructured.Unstructured) string {
	if name := live.Text(lease.Object, "spec", "holderIdentity"); name != "" {
		return name
	}
	return "another program"
}

// holder names this process for people who look for it.
func holder() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s@%s (process %d)", name, host, os.Getpid())
}

// microTime formats a time as Leases have it.
func microTime(t time.Time) string { return t.UTC().Format(metav1.RFC3339Micro) }

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// stamp identifies one state of an object; the zero stamp stands for absence.
type stamp struct {
	uid      types.UID
	revision string
}

func stampOf(obj metav1.Object) stamp { return stamp{obj.GetUID(), obj.GetResourceVersion()} }
