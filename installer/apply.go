// Package installer makes the cluster equal to the manifests that package manifest
// has prepared: it plans, applies and waits.
//
// The command line's verbs are prefixes of that one pipeline. What the cluster
// would refuse is found by a dry run of everything before the first write.
// Objects are applied server-side under one field manager: fields that others own
// (the caBundles that webhooks write, replicas that an autoscaler sets) stay theirs,
// applying twice changes nothing, and CRDs of 250 KB carry no copy of themselves in
// an annotation. The inventory in the cluster stores what was applied, as the base
// that an upgrade compares with. An interrupted install is run again and goes on.
package installer

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Reporter hears what Apply does, as it does it.
type Reporter interface {
	Stage(number, of int, stage Stage)
	Changed(entry ssa.ChangeSetEntry)
	// Waiting hears what is waited for, whenever that changes.
	Waiting(what string)
}

// run is one apply of a plan.
type run struct {
	*Cluster
	plan    *Plan
	options Options
	report  Reporter
	done    *ssa.ChangeSet
	// inventory is that of the cluster.
	inventory *Inventory
	// noted says that the inventory names what is being applied.
	noted bool
}

// Apply does what the plan says, stage by stage, and returns what became of
// each object. On an error the result holds what was done before it. It holds the Lease
// of the installation meanwhile.
func (c *Cluster) Apply(ctx context.Context, plan *Plan, options Options, report Reporter) (*ssa.ChangeSet, error) {
	r := &run{Cluster: c, plan: plan, options: options, report: report, done: ssa.NewChangeSet(),
		inventory: plan.Previous}
	err := r.ensureNamespace(ctx)
	if err == nil {
		err = Exclusively(ctx, c.client, options.Lease, report.Waiting, r.all)
	}
	if err != nil {
		err = &StoppedError{Changed: r.noted || r.written() > 0, Err: err}
	}
	return r.done, err
}

// StoppedError is the error of an apply that did not end well.
type StoppedError struct {
	// Changed reports whether an object of the release may have been written.
	Changed bool
	Err     error
}

func (e *StoppedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StoppedError) Unwrap() error { return e.Err }

// all applies all stages.
func (r *run) all(ctx context.Context) error {
	if err := checkInventory(ctx, r.client, r.inventory); err != nil {
		return err
	}
	if r.plan.relaxes() {
		if err := r.relax(ctx); err != nil {
			return err
		}
	}
	todo := r.plan.Stages
	if len(r.plan.Prune) > 0 {
		todo = append(
			slices.Clone(todo),
			Stage{ID: StagePrune, Doc: "removing what this release no longer has", Objects: r.plan.Prune},
		)
	}
	for i, stage := range todo {
		r.report.Stage(i+1, len(todo), stage)
		do := r.stage
		if stage.ID == StagePrune {
			do = r.prune
		}
		if err := do(ctx, stage); err != nil {
			return fmt.Errorf("stage %d of %d, %s: %w%s", i+1, len(todo), stage.Doc, err, r.afterwards())
		}
	}
	if err := r.forgetDeliveries(ctx); err != nil {
		return err
	}
	return r.finish(ctx)
}

// written counts the objects that were written.
func (r *run) written() int {
	written := 0
	for _, entry := range r.done.Entries {
		if entry.Action != ssa.UnchangedAction {
			written++
		}
	}
	return written
}

// afterwards says what state an error leaves behind.
func (r *run) afterwards() string {
	written := r.written()
	if written == 0 {
		return " (nothing was changed)"
	}
	return fmt.Sprintf(" (%d objects were written and stay; run the same command again to go on from here)", written)
}

func (r *run) stage(ctx context.Context, stage Stage) error {
	for _, change := range stage.changes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.begin(ctx, change); err != nil {
			return err
		}
		if err := r.apply(ctx, change); err != nil {
			return err
		}
		r.say(change.Desired, change.Action)
	}
	// The namespace may be this stage's only object.
	if stage.wait == nil || !r.options.Wait && !stage.required() {
		return nil
	}
	return stage.wait(r, ctx, stage.changes)
}

func (r *run) say(obj *unstructured.Unstructured, action ssa.Action) {
	entry := ssa.ChangeSetEntry{
		ObjMetadata:  object.UnstructuredToObjMetadata(obj),
		GroupVersion: obj.GroupVersionKind().Version,
		Subject:      kube.Name(obj),
		Action:       action,
	}
	r.done.Add(entry)
	r.report.Changed(entry)
}

// begin notes in the inventory what is about to be applied, before the first
// object is written that is no Namespace: whatever happens then, an upgrade or
// uninstall knows what to look for.
func (r *run) begin(ctx context.Context, change *Change) error {
	if r.noted || change.Action == ssa.UnchangedAction || change.Desired.GetKind() == "Namespace" {
		return nil
	}
	r.noted = true
	unfinished := &Inventory{
		Versions:  r.plan.Release.Versions,
		Time:      time.Now().UTC().Truncate(time.Second),
		Attempted: r.plan.Release.Objects,
		Returning: r.options.Returning, Adopted: r.plan.Adopts(),
		Left:  r.plan.Left,
		Found: r.plan.Found,
		Parts: joinParts(r.plan.Release.Parts, r.plan.Previous.parts()),
	}
	if before := r.plan.Previous; before != nil {
		unfinished.Objects, unfinished.Before = before.Objects, before.Before
		unfinished.Found = slices.Compact(slices.Sorted(slices.Values(slices.Concat(r.plan.Found, before.Found))))
		unfinished.Attempted = append(
			unfinished.Attempted[:len(unfinished.Attempted):len(unfinished.Attempted)],
			earlierAttempts(before, r.plan.Release.Objects)...)
	}
	return r.write(ctx, unfinished)
}

// write replaces the inventory.
func (r *run) write(ctx context.Context, inventory *Inventory) error {
	if err := WriteInventory(ctx, r.client, inventory, r.inventory); err != nil {
		return err
	}
	r.inventory = inventory
	return nil
}

// earlierAttempts returns what an earlier unfinished apply may have written
// and this one will not overwrite; and its ConfigMaps, whose values might
// otherwise be taken for the user's.
func earlierAttempts(before *Inventory, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	wanted := map[string]bool{}
	for _, obj := range objects {
		wanted[kube.Identity(obj)] = true
	}
	var earlier []*unstructured.Unstructured
	for _, obj := range before.Attempted {
		if !wanted[kube.Identity(obj)] || obj.GetKind() == "ConfigMap" {
			earlier = append(earlier, obj)
		}
	}
	return earlier
}

// ensureNamespace makes the namespace of the Lease and the inventory, which are written
// before anything of the release is.
func (r *run) ensureNamespace(ctx context.Context) error {
	ns := NewObject(live.Namespace, "", Namespace)
	if current, err := r.current(ctx, ns); err != nil || current != nil {
		return err
	}
	return r.client.Create(ctx, ns, client.FieldOwner(FieldManager))
}

// forgetDeliveries deletes the Leases of deliveries that earlier versions kept in Tekgate's
// own namespace, to which the interceptor no longer has a right.
func (r *run) forgetDeliveries(ctx context.Context) error {
	old := []client.ListOption{client.InNamespace(Namespace), client.HasLabels{wellknown.ReplayNamespace}}
	leases, err := r.List(ctx, leaseKind, append(old, client.Limit(1))...)
	if err != nil || len(leases) == 0 {
		return err
	}
	err = r.client.DeleteAllOf(ctx, NewObject(leaseKind, "", ""), client.InNamespace(Namespace),
		client.HasLabels{wellknown.ReplayNamespace})
	if err != nil {
		return fmt.Errorf("deleting the Leases of deliveries in namespace %s: %w", Namespace, err)
	}
	return nil
}

// finish writes down that the apply ended well.
func (r *run) finish(ctx context.Context) error {
	before, release := r.plan.Previous, r.plan.Release
	same := before != nil && reflect.DeepEqual(before.Objects, release.Objects)
	if same && before.Complete && !r.noted && before.Versions.Equal(release.Versions) &&
		reflect.DeepEqual(before.Parts, release.Parts) {
		return nil
	}
	finished := &Inventory{
		Versions: release.Versions, Time: time.Now().UTC().Truncate(time.Second),
		Objects: release.Objects, Parts: release.Parts, Left: r.plan.Left, Found: r.plan.Found, Complete: true,
	}
	finished.Before = before.recorded()
	if same { // what it replaced stays the one to go back to
		finished.Before = before.Before
	}
	return r.write(ctx, finished)
}

// admissionTimeout is how long an admission server may take to answer that was
// registered a moment ago.
const admissionTimeout = 2 * time.Minute

// apply writes one object. A webhook that was registered a moment ago may not
// answer yet, on a first install and on an upgrade alike; nothing else is worth
// a second try.
func (r *run) apply(ctx context.Context, change *Change) error {
	if change.Action == ssa.UnchangedAction {
		return nil
	}
	limit := min(admissionTimeout, r.options.Timeout)
	var last error
	err := wait.PollUntilContextTimeout(ctx, time.Second, limit, true, func(ctx context.Context) (bool, error) {
		err := r.change(ctx, change)
		if err != nil && strings.Contains(err.Error(), "failed calling webhook") {
			last = err
			return false, nil
		}
		return true, err
	})
	if wait.Interrupted(err) && ctx.Err() == nil && last != nil {
		err = fmt.Errorf(
			"%w: the webhook's server did not answer for %s; see which Pods its Service lacks",
			last,
			limit,
		)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", kube.Name(change.Desired), err)
	}
	return nil
}

func (r *run) change(ctx context.Context, change *Change) error {
	if change.migrate {
		if err := r.migrate(ctx, change.Live); err != nil {
			return err
		}
		change.migrate = false
	}
	if err := r.mergeAgain(ctx, change); err != nil {
		return err
	}
	if change.takeover != nil {
		patch := client.RawPatch(types.JSONPatchType, change.takeover)
		if err := r.client.Patch(ctx, change.Live.DeepCopy(), patch, client.FieldOwner(FieldManager)); err != nil {
			return fmt.Errorf("taking over the fields of earlier appliers: %w", err)
		}
		change.takeover = nil
	}
	if change.recreate {
		err := r.client.Delete(ctx, change.Live.DeepCopy(), client.PropagationPolicy("Background"))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting it to make it anew: %w", err)
		}
		change.recreate = false
	}
	first, _ := change.soft()
	return r.patch(ctx, first.DeepCopy())
}

// mergeAgain merges a ConfigMap once more where it was edited since the plan
// was made, which may be minutes ago.
func (r *run) mergeAgain(ctx context.Context, change *Change) error {
	if change.bases == nil || change.Live == nil {
		return nil
	}
	current, err := r.current(ctx, change.Desired)
	if err != nil || current == nil || current.GetResourceVersion() == change.Live.GetResourceVersion() {
		return err
	}
	change.Live = current
	change.Desired, _ = mergeConfigMap(change.Rendered, current, change.bases, change.declared)
	if change.takeover != nil {
		change.takeover, err = takeover(current)
	}
	return err
}

// prune deletes what the release before had and this one has not. What Tekgate
// did not write itself, or what somebody else has taken over, stays.
func (r *run) prune(ctx context.Context, stage Stage) error {
	for _, obj := range stage.Objects {
		if err := ctx.Err(); err != nil {
			return err
		}
		current, err := r.current(ctx, obj)
		if err != nil {
			return err
		}
		if current == nil || !mayPrune(current) {
			continue
		}
		uid := current.GetUID()
		err = r.deletePruned(ctx, current, client.Preconditions{UID: &uid}, client.PropagationPolicy("Background"))
		if err != nil && !kube.Absent(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting %s: %w", kube.Name(obj), err)
		}
		r.say(obj, ssa.DeletedAction)
		if err := r.removeIssued(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// forgotten is how long an API server may ask a webhook whose configuration was deleted.
const forgotten = 15 * time.Second

// deletePruned deletes an object. It tries again while a webhook, whose configuration was
// deleted a moment ago, refuses.
func (r *run) deletePruned(ctx context.Context, obj *unstructured.Unstructured, options ...client.DeleteOption) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, time.Second, forgotten, true, func(ctx context.Context) (bool, error) {
		last = r.client.Delete(ctx, obj, options...)
		return last == nil || !byTekton(last), nil
	})
	if wait.Interrupted(err) && ctx.Err() != nil {
		return err
	}
	return last
}

// mayPrune reports whether Tekgate owns a field of an object, or nobody does: an object
// with nothing but a name, such as an empty ConfigMap, has no field owners.
func mayPrune(current *unstructured.Unstructured) bool {
	entries := current.GetManagedFields()
	return len(entries) == 0 ||
		slices.ContainsFunc(entries, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == FieldManager })
}
