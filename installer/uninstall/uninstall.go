// Package uninstall removes an installation from its cluster, and keeps what users made.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// Options configure an uninstall.
type Options struct {
	// Purge also removes definitions, with all objects that users made of their kinds,
	// and all namespaces.
	Purge bool
	// Embedded are the objects to look for in a cluster without an inventory. Only
	// those that Tekgate applied are removed.
	Embedded []*unstructured.Unstructured
	// Resources lists the namespaced kinds of the server, to find out whether a
	// namespace is empty. An error together with a list means that the list has gaps.
	Resources func() ([]*metav1.APIResourceList, error)
	// Timeout limits how long the objects of one stage may take to disappear.
	Timeout time.Duration
	// RemoveFinalizers removes finalizers from users' objects that hang.
	RemoveFinalizers bool
}

// Removal is everything that an uninstall would do.
type Removal struct {
	// Inventory is the cluster's inventory; nil if there is none.
	Inventory *installer.Inventory
	Stages    []Stage
	// Users are users' objects of Tekton's kinds. They are kept, or deleted in a purge.
	Users []UserObjects
	// Strays are objects of other kinds in namespaces that are deleted in a purge.
	Strays []string
	// Edited are ConfigMaps that users have changed. They are kept, or deleted in a
	// purge.
	Edited []Edited
	// Kept lists what stays, and why.
	Kept []Staying
	// Aggregated are ClusterRoles that are deleted and that the cluster's own roles,
	// such as edit and view, include: users of those lose rights.
	Aggregated []string
	// Denied are the rights that the removal needs and the user lacks, such as "delete
	// services in tekton-pipelines".
	Denied []string

	cluster kube.Reader
	options Options
	removed int
	marked  bool // the inventory says that the installation is no longer whole
}

// Stage is a set of objects that are removed together, after those of the stages before.
type Stage struct {
	ID      StageID
	Objects []*unstructured.Unstructured
	// Doc describes the stage, for reports.
	Doc string
}

// UserObjects are the objects of one kind that users have made.
type UserObjects struct {
	Kind schema.GroupVersionKind
	// Names are "namespace/name", or the name if the kind has no namespaces.
	Names []string
	// Unknown says why they cannot be listed; empty if they could.
	Unknown string

	definition *unstructured.Unstructured
	objects    []metav1.PartialObjectMetadata
}

// Edited is a ConfigMap that was changed after it was installed.
type Edited struct {
	Object *unstructured.Unstructured
	Keys   []string
}

// Staying is an object that stays, and why.
type Staying struct{ Subject, Why string }

// Empty reports that there is nothing to take away.
func (r *Removal) Empty() bool { return len(r.Stages) == 0 }

// StageID identifies a stage of a removal.
type StageID int

// The stages of a removal in their order. Whatever could refuse a removal is removed
// first: a webhook whose server is gone refuses every change of the objects that it is
// called for (tektoncd/operator#3472). Users' objects are removed while the controllers
// still run, since these remove finalizers and convert objects that are stored in older
// versions. Permissions are removed after the programs that use them, and definitions and
// namespaces when they are empty.
const (
	OwnWebhooks StageID = iota
	Webhooks
	Users
	Workloads
	Rest
	Definitions
	Namespaces
)

// stages are in the order of a removal.
var stages = []Stage{
	{ID: OwnWebhooks, Doc: "Tekgate's webhooks and interceptor"},
	{ID: Webhooks, Doc: "Tekton's webhooks"},
	{ID: Users, Doc: "users' objects"},
	{ID: Workloads, Doc: "workloads"},
	{ID: Rest, Doc: "permissions and configuration"},
	{ID: Definitions, Doc: "definitions"},
	{ID: Namespaces, Doc: "namespaces"},
}

// interceptor is the object that Tekgate's interceptor publishes.
var interceptor = installer.NewObject(live.ClusterInterceptor, "", "tekgate")

// Plan finds out what removing the installation would do. It writes nothing.
func Plan(ctx context.Context, c client.Client, options Options) (*Removal, error) {
	r := &Removal{cluster: kube.NewReader(c), options: options}
	var err error
	if r.Inventory, err = installer.ReadInventory(ctx, c); err != nil {
		return nil, err
	}
	known := r.Inventory.All()
	if r.Inventory == nil {
		known = once(options.Embedded)
	}
	found, err := r.installed(ctx, known)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, r.wasThere)
	if r.Users, err = r.userObjects(ctx, found, known); err != nil {
		return nil, err
	}
	r.Edited = editedConfigMaps(found, r.shipped())
	leaving := slices.DeleteFunc(found, r.keeps)
	if leaving, err = r.namespaces(ctx, leaving, known); err != nil {
		return nil, err
	}
	r.Stages = arrange(leaving)
	for _, obj := range leaving {
		if aggregates(obj) {
			r.Aggregated = append(r.Aggregated, obj.GetName())
		}
	}
	if !r.Empty() {
		r.Denied, err = installer.Denied(ctx, c, r.access())
	}
	return r, err
}

// access lists the rights that the removal needs. Those to read were needed to plan it.
func (r *Removal) access() []installer.Access {
	c := r.cluster.Client()
	needed := installer.RecordAccess("delete")
	for _, stage := range r.Stages {
		for _, obj := range stage.Objects {
			needed = append(needed, installer.AccessTo(c, "delete", obj))
		}
	}
	if !r.options.Purge {
		return needed
	}
	for _, users := range r.Users {
		verbs := []string{"delete"}
		if r.options.RemoveFinalizers {
			verbs = append(verbs, "patch")
		}
		for _, verb := range verbs {
			needed = append(needed, installer.AccessTo(c, verb, installer.NewObject(users.Kind, "", "")))
		}
		if users.Unknown != "" { // its definition's conversion is turned off
			needed = append(needed, installer.AccessTo(c, "patch", users.definition))
		}
	}
	return needed
}

// once returns the objects without those of the same identity as an earlier one.
func once(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(objects), func(obj *unstructured.Unstructured) bool {
		id := kube.Identity(obj)
		before := seen[id]
		seen[id] = true
		return before
	})
}

// aggregates tells whether an object adds to the cluster's own roles.
func aggregates(obj *unstructured.Unstructured) bool {
	for label := range obj.GetLabels() {
		if obj.GetKind() == "ClusterRole" && strings.HasPrefix(label, "rbac.authorization.k8s.io/aggregate-to-") {
			return true
		}
	}
	return false
}

// installed returns the known objects, and those that Tekgate's servers made, that are in
// the cluster. Without an inventory an object counts only if Tekgate applied it: another
// tool may have installed the same Tekton.
func (r *Removal) installed(
	ctx context.Context,
	known []*unstructured.Unstructured,
) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	for _, obj := range known {
		current, err := r.current(ctx, obj)
		if err != nil {
			return nil, err
		}
		if current != nil && (r.Inventory != nil || installer.AppliedByTekgate(current)) {
			found = append(found, current)
		}
	}
	for _, obj := range installer.WrittenByServers() {
		current, err := r.current(ctx, obj)
		if err != nil {
			return nil, err
		}
		if current != nil {
			found = append(found, current)
		}
	}
	return found, nil
}

// current returns the cluster's version of an object, or nil if it or its kind is absent.
func (r *Removal) current(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return r.cluster.Get(ctx, obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName())
}

// systemNamespaces are those without which no cluster works.
var systemNamespaces = []string{"default", "kube-system", "kube-public", "kube-node-lease"}

// wasThere says whether an object was in the cluster before Tekgate, so that it stays even in a
// purge, and notes it.
func (r *Removal) wasThere(obj *unstructured.Unstructured) bool {
	switch {
	case r.Inventory.WasFound(obj):
		r.Kept = append(r.Kept, Staying{kube.Name(obj), "it was in the cluster before Tekgate"})
		return true
	case obj.GetKind() == "Namespace" && slices.Contains(systemNamespaces, obj.GetName()):
		r.Kept = append(r.Kept, Staying{kube.Name(obj), "it belongs to Kubernetes"})
		return true
	}
	return false
}

// keeps says whether an object stays, and notes why.
func (r *Removal) keeps(obj *unstructured.Unstructured) bool {
	if r.options.Purge {
		return false
	}
	if obj.GetKind() == live.Definition.Kind {
		return true
	}
	if manifest.HoldsKeys(obj) && len(live.Data(obj)) > 0 {
		r.Kept = append(r.Kept, Staying{kube.Name(obj), "it holds the keys that Chains signs with"})
		return true
	}
	for _, e := range r.Edited {
		if kube.Identity(e.Object) == kube.Identity(obj) {
			r.Kept = append(r.Kept, Staying{kube.Name(obj), "somebody changed " + strings.Join(e.Keys, ", ")})
			return true
		}
	}
	return false
}

// shipped returns the objects that ConfigMaps may have come from. Without an inventory
// these are the embedded release, except Tekgate's own configuration, which an install
// has filled in.
func (r *Removal) shipped() []*unstructured.Unstructured {
	if r.Inventory != nil {
		return slices.Concat(r.Inventory.Attempted, r.Inventory.Objects)
	}
	return slices.DeleteFunc(slices.Clone(r.options.Embedded), func(obj *unstructured.Unstructured) bool {
		return obj.GetNamespace() == installer.Namespace
	})
}

// editedConfigMaps returns the ConfigMaps that hold something that is in no release.
func editedConfigMaps(found, shipped []*unstructured.Unstructured) []Edited {
	bases := map[string][]map[string]string{}
	for _, obj := range shipped {
		id := kube.Identity(obj)
		bases[id] = append(bases[id], installer.ConfigData(obj))
	}
	var all []Edited
	for _, obj := range found {
		base, known := bases[kube.Identity(obj)]
		if obj.GetKind() != "ConfigMap" || !known {
			continue
		}
		if keys := installer.EditedKeys(installer.ConfigData(obj), base); len(keys) > 0 {
			all = append(all, Edited{Object: obj, Keys: keys})
		}
	}
	return all
}

// arrange sorts objects into stages, and leaves out stages without objects.
func arrange(objects []*unstructured.Unstructured) []Stage {
	var filled []Stage
	for _, stage := range stages {
		for _, obj := range objects {
			if stageOf(obj) == stage.ID {
				stage.Objects = append(stage.Objects, obj)
			}
		}
		if len(stage.Objects) > 0 {
			filled = append(filled, stage)
		}
	}
	return filled
}

func stageOf(obj *unstructured.Unstructured) StageID {
	own := obj.GetLabels()["app.kubernetes.io/part-of"] == "tekgate"
	switch obj.GetKind() {
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		if own {
			return OwnWebhooks
		}
		return Webhooks
	case "ClusterInterceptor":
		if own || obj.GetName() == interceptor.GetName() {
			return OwnWebhooks
		}
		return Workloads
	case "Certificate", "Issuer": // before their Secrets, which cert-manager would make anew
		return Workloads
	case "Deployment",
		"StatefulSet",
		"DaemonSet",
		"Job",
		"CronJob",
		"Pod",
		"HorizontalPodAutoscaler",
		"PodDisruptionBudget",
		"Service":
		return Workloads
	case "CustomResourceDefinition":
		return Definitions
	case "Namespace":
		return Namespaces
	}
	return Rest
}

// Reporter receives the progress of Run.
type Reporter interface {
	Stage(doc string, objects int)
	Removed(subject string)
}

// Run does what was planned. It can be interrupted at any point and run again: the
// inventory, on which it depends, is removed last, before the namespaces. It holds the
// Lease of the installation meanwhile, so that no install runs at the same time.
func (r *Removal) Run(ctx context.Context, report Reporter) error {
	namespace, err := r.current(ctx, installer.NewObject(live.Namespace, "", installer.Namespace))
	if err != nil {
		return err
	}
	do := func(ctx context.Context) error { return r.removeAll(ctx, report) }
	if namespace == nil || namespace.GetDeletionTimestamp() != nil { // no Lease can be created
		err = do(ctx)
	} else {
		err = installer.Exclusively(ctx, r.cluster.Client(), 0, func(string) {}, do)
	}
	if err == nil {
		err = r.runNumber(ctx, Namespaces, report)
	}
	if err != nil {
		return &StoppedError{Changed: r.removed > 0, Recorded: r.marked, Err: err}
	}
	return nil
}

// StoppedError is the error of an uninstall that did not end well.
type StoppedError struct {
	Changed bool // an object was removed
	// Recorded says that the cluster still records what was installed, so that a rollback
	// can install it again.
	Recorded bool
	Err      error
}

func (e *StoppedError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *StoppedError) Unwrap() error { return e.Err }

// mark writes into the inventory that the installation is no longer whole, so that a
// rollback returns to it and not to the release before. It does nothing if the last apply
// did not end well: the inventory says so already.
func (r *Removal) mark(ctx context.Context) error {
	if r.Inventory == nil {
		return nil
	}
	if r.Inventory.Complete {
		marked := *r.Inventory
		marked.Complete = false
		err := installer.WriteInventory(ctx, r.cluster.Client(), &marked, r.Inventory)
		if apierrors.IsForbidden(err) { // it may be deleted all the same
			return nil
		}
		if err != nil {
			return err
		}
	}
	r.marked = len(r.Inventory.Objects) > 0
	return nil
}

// removeAll removes everything but the namespaces, of which one has the Lease.
func (r *Removal) removeAll(ctx context.Context, report Reporter) error {
	if err := r.mark(ctx); err != nil {
		return err
	}
	for _, stage := range stages {
		if stage.ID == Namespaces {
			continue
		}
		if err := r.runNumber(ctx, stage.ID, report); err != nil {
			return err
		}
	}
	if err := r.forget(ctx, report); err != nil {
		return fmt.Errorf("removing the inventory: %w; run the same command again to go on", err)
	}
	return nil
}

// runNumber runs the stage of an ID, with the objects that were planned for it.
func (r *Removal) runNumber(ctx context.Context, id StageID, report Reporter) error {
	stage := stages[slices.IndexFunc(stages, func(s Stage) bool { return s.ID == id })]
	if i := slices.IndexFunc(r.Stages, func(s Stage) bool { return s.ID == id }); i >= 0 {
		stage.Objects = r.Stages[i].Objects
	}
	if err := r.runStage(ctx, stage, report); err != nil {
		return fmt.Errorf("removing %s: %w; run the same command again to go on", stage.Doc, err)
	}
	return nil
}

func (r *Removal) runStage(ctx context.Context, stage Stage, report Reporter) error {
	if stage.ID == Users && r.options.Purge {
		return r.removeUsers(ctx, report)
	}
	if len(stage.Objects) == 0 {
		return nil
	}
	report.Stage(stage.Doc, len(stage.Objects))
	return r.remove(ctx, stage.Objects, report)
}

// forget removes the inventory, and the ClusterInterceptor once more: the interceptor's
// last Pod may have written it again before it ended.
func (r *Removal) forget(ctx context.Context, report Reporter) error {
	r.marked = false
	published, err := r.current(ctx, interceptor)
	if err == nil && published != nil {
		err = r.delete(ctx, published, report)
	}
	return errors.Join(err, r.delete(ctx, installer.InventorySecret(), report))
}

// delete deletes an object and does not wait until it is gone.
func (r *Removal) delete(ctx context.Context, obj client.Object, report Reporter) error {
	options := []client.DeleteOption{client.PropagationPolicy(metav1.DeletePropagationBackground)}
	if uid := obj.GetUID(); uid != "" {
		// Another object of that name may have been created since.
		options = append(options, client.Preconditions{UID: &uid})
	}
	// Of typed objects, metadata among them, controller-runtime v0.25 decodes the answer by the
	// client's scheme, which has no kind.
	named := installer.NewObject(obj.GetObjectKind().GroupVersionKind(), obj.GetNamespace(), obj.GetName())
	err := r.cluster.Client().Delete(ctx, named, options...)
	switch {
	case kube.Absent(err), apierrors.IsConflict(err):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", kube.Name(obj), err)
	}
	r.removed++
	report.Removed(kube.Name(obj))
	return nil
}

// remove deletes objects and waits until they are gone.
func (r *Removal) remove(ctx context.Context, objects []*unstructured.Unstructured, report Reporter) error {
	for _, obj := range objects {
		if err := r.delete(ctx, obj, report); err != nil {
			return err
		}
	}
	return gone(ctx, r.options.Timeout, func() ([]string, error) {
		var left []string
		for _, obj := range objects {
			current, err := r.current(ctx, obj)
			if err != nil {
				return nil, err
			}
			if current != nil && current.GetUID() == obj.GetUID() {
				left = append(left, kube.Name(current)+whyStill(current))
			}
		}
		return left, nil
	})
}

// whyStill says what an object that is being deleted waits for.
func whyStill(obj *unstructured.Unstructured) string {
	for _, condition := range live.Maps(obj.Object, "status", "conditions") {
		kind, _ := condition["type"].(string)
		deleting := strings.HasPrefix(kind, "Namespace") || kind == "Terminating"
		if message, _ := condition["message"].(string); deleting && condition["status"] == "True" && message != "" {
			return " (" + message + ")"
		}
	}
	if finalizers := obj.GetFinalizers(); len(finalizers) > 0 {
		return " (" + finalizerReason(finalizers) + ")"
	}
	return ""
}

const goneEvery = 200 * time.Millisecond

// gone waits until nothing is left, and says what is.
func gone(ctx context.Context, timeout time.Duration, remaining func() ([]string, error)) error {
	for deadline := time.Now().Add(timeout); ; {
		left, err := remaining()
		switch {
		case err != nil:
			return err
		case len(left) == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("after %s there still is %s", timeout, strings.Join(left, ", "))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(goneEvery):
		}
	}
}
