package installer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// UninstallOptions are how to take an installation away.
type UninstallOptions struct {
	// Purge takes definitions, and with them everything that users have made of
	// their kinds, and all namespaces.
	Purge bool
	// Embedded are the objects to look for in a cluster without an inventory.
	// Only those that Tekgate applied are touched.
	Embedded []*unstructured.Unstructured
	// Resources lists the kinds that the server has in namespaces, to see whether
	// one can be emptied. An error beside a list means that the list has gaps.
	Resources func() ([]*metav1.APIResourceList, error)
	// Timeout bounds how long the objects of one stage may take to go.
	Timeout time.Duration
	// RemoveFinalizers takes the finalizers from users' objects that hang.
	RemoveFinalizers bool
}

// Removal is all that an uninstall would do, found out without writing.
type Removal struct {
	// Inventory is what the cluster remembers; nil where there is none.
	Inventory *Inventory
	Stages    []RemovalStage
	// Users are the objects of users, of Tekton's kinds; they are kept, or die in
	// a purge.
	Users []UserObjects
	// Strays are objects of other kinds in namespaces that die in a purge.
	Strays []string
	// Edited are ConfigMaps that users have changed; kept, or lost in a purge.
	Edited []Edited
	// Kept says what stays, and why.
	Kept []Staying
	// Aggregated are ClusterRoles that go and that the cluster's own roles, such
	// as edit and view, are made of: with them their users lose rights.
	Aggregated []string

	purge bool
}

// RemovalStage is a set of objects that go together, after those of the stages
// before.
type RemovalStage struct {
	Doc     string
	Objects []*unstructured.Unstructured
}

// UserObjects are the objects of one kind that users have made.
type UserObjects struct {
	Kind schema.GroupVersionKind
	// Names are "namespace/name", or the name where there are no namespaces.
	Names []string
	// Unknown says why they cannot be listed; empty where they could.
	Unknown string

	definition *unstructured.Unstructured
	objects    []metav1.PartialObjectMetadata
}

// Edited is a ConfigMap that somebody changed after it was installed.
type Edited struct {
	Object *unstructured.Unstructured
	Keys   []string
}

// Staying is an object that stays, and why.
type Staying struct{ Subject, Why string }

// Empty reports that there is nothing to take away.
func (r *Removal) Empty() bool { return len(r.Stages) == 0 }

// The stages of a removal in their order. Whoever could refuse a removal goes
// first: a webhook whose server is gone refuses every change of what it is asked
// about (tektoncd/operator#3472). Users' objects go while the controllers still
// run, since these take their finalizers off and convert what is stored in older
// versions. The rights go after those who use them, and definitions and
// namespaces when nothing is left in them.
const (
	goOwnWebhooks = iota
	goWebhooks
	goUsers
	goWorkloads
	goRest
	goDefinitions
	goNamespaces
)

var removalDocs = []string{
	"Tekgate's webhooks and interceptor",
	"Tekton's webhooks",
	"users' objects",
	"workloads",
	"permissions and configuration",
	"definitions",
	"namespaces",
}

// byServers are the objects that Tekgate's servers write themselves, or cert-manager for
// them, so that no inventory has them.
var byServers = []struct{ apiVersion, kind, namespace, name string }{
	{"triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "tekgate"},
	{"v1", "Secret", Namespace, "tekgate-webhook-ca"},
	{"v1", "Secret", Namespace, "tekgate-interceptor-ca"},
	{"v1", "Secret", Namespace, "tekgate-webhook-tls"},
	{"v1", "Secret", Namespace, "tekgate-interceptor-tls"},
	{"v1", "Secret", Namespace, "tekgate-ca"},
}

// PlanUninstall finds out what taking the installation away would do.
func (c *Cluster) PlanUninstall(ctx context.Context, options UninstallOptions) (*Removal, error) {
	r := &Removal{purge: options.Purge}
	var err error
	if r.Inventory, err = ReadInventory(ctx, c.client); err != nil {
		return nil, err
	}
	known := r.Inventory.All()
	if r.Inventory == nil {
		known = options.Embedded
	}
	found, err := c.installed(ctx, known, r.Inventory != nil)
	if err != nil {
		return nil, err
	}
	if r.Users, err = c.userObjects(ctx, found, known); err != nil {
		return nil, err
	}
	r.Edited = editedConfigMaps(found, shipped(r.Inventory, options.Embedded))
	leaving := slices.DeleteFunc(found, func(obj *unstructured.Unstructured) bool { return r.keeps(obj) })
	if leaving, err = c.namespaces(ctx, r, leaving, known, options); err != nil {
		return nil, err
	}
	r.Stages = removalStages(leaving)
	for _, obj := range leaving {
		if aggregates(obj) {
			r.Aggregated = append(r.Aggregated, obj.GetName())
		}
	}
	return r, nil
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

// installed returns what is in the cluster of the known objects and of those
// that Tekgate's servers made. Without an inventory an object counts only if
// Tekgate applied it: another tool may have installed the same Tekton.
func (c *Cluster) installed(ctx context.Context, known []*unstructured.Unstructured, inventory bool) ([]*unstructured.Unstructured, error) {
	var found []*unstructured.Unstructured
	for _, obj := range known {
		live, err := c.find(ctx, obj.GroupVersionKind(), client.ObjectKeyFromObject(obj))
		if err != nil {
			return nil, err
		}
		if live != nil && (inventory || appliedByUs(live)) {
			found = append(found, live)
		}
	}
	for _, o := range byServers {
		live, err := c.find(ctx, schema.FromAPIVersionAndKind(o.apiVersion, o.kind), client.ObjectKey{Namespace: o.namespace, Name: o.name})
		if err != nil {
			return nil, err
		}
		if live != nil {
			found = append(found, live)
		}
	}
	return found, nil
}

// find returns an object, or nil where it or its kind is absent.
func (c *Cluster) find(ctx context.Context, kind schema.GroupVersionKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(kind)
	err := c.client.Get(ctx, key, live)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking for %s %s: %w", kind.Kind, key, err)
	}
	return live, nil
}

func appliedByUs(obj *unstructured.Unstructured) bool {
	return slices.ContainsFunc(obj.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == FieldManager && f.Operation == metav1.ManagedFieldsOperationApply
	})
}

// keeps says whether an object stays, and notes why.
func (r *Removal) keeps(obj *unstructured.Unstructured) bool {
	if r.purge {
		return false
	}
	if obj.GetKind() == "CustomResourceDefinition" {
		return true
	}
	for _, e := range r.Edited {
		if identity(e.Object) == identity(obj) {
			r.Kept = append(r.Kept, Staying{name(obj), "somebody changed " + strings.Join(e.Keys, ", ")})
			return true
		}
	}
	return false
}

// shipped returns the objects that ConfigMaps may have come from. Without an
// inventory that is the embedded release, all but Tekgate's own configuration,
// which an install has filled in.
func shipped(inventory *Inventory, embedded []*unstructured.Unstructured) []*unstructured.Unstructured {
	if inventory != nil {
		return slices.Concat(inventory.Attempted, inventory.Objects)
	}
	return slices.DeleteFunc(slices.Clone(embedded), func(obj *unstructured.Unstructured) bool { return obj.GetNamespace() == Namespace })
}

// editedConfigMaps returns the ConfigMaps that hold something that no release put
// there.
func editedConfigMaps(found, from []*unstructured.Unstructured) []Edited {
	bases := map[string][]map[string]string{}
	for _, obj := range from {
		bases[identity(obj)] = append(bases[identity(obj)], dataOf(obj))
	}
	var all []Edited
	for _, obj := range found {
		if obj.GetKind() != "ConfigMap" || bases[identity(obj)] == nil {
			continue
		}
		if keys := changedKeys(dataOf(obj), bases[identity(obj)]); len(keys) > 0 {
			all = append(all, Edited{Object: obj, Keys: keys})
		}
	}
	return all
}

func dataOf(cm *unstructured.Unstructured) map[string]string {
	data, _, _ := unstructured.NestedStringMap(cm.Object, "data")
	return data
}

// changedKeys returns the keys whose value, or absence, no base has.
func changedKeys(live map[string]string, bases []map[string]string) []string {
	keys := map[string]bool{}
	for _, data := range append([]map[string]string{live}, bases...) {
		for key := range data {
			keys[key] = true
		}
	}
	var changed []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		is := lookUp(live, key)
		if key != exampleKey && !slices.ContainsFunc(bases, func(base map[string]string) bool { return same(is, lookUp(base, key)) }) {
			changed = append(changed, key)
		}
	}
	return changed
}

func removalStages(objects []*unstructured.Unstructured) []RemovalStage {
	sorted := make([]RemovalStage, len(removalDocs))
	for _, obj := range objects {
		n := removalStageOf(obj)
		sorted[n].Objects = append(sorted[n].Objects, obj)
	}
	var stages []RemovalStage
	for n, stage := range sorted {
		if stage.Doc = removalDocs[n]; len(stage.Objects) > 0 {
			stages = append(stages, stage)
		}
	}
	return stages
}

func removalStageOf(obj *unstructured.Unstructured) int {
	own := obj.GetLabels()["app.kubernetes.io/part-of"] == "tekgate"
	switch obj.GetKind() {
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		if own {
			return goOwnWebhooks
		}
		return goWebhooks
	case "ClusterInterceptor":
		if own || obj.GetName() == "tekgate" {
			return goOwnWebhooks
		}
		return goWorkloads
	case "Certificate", "Issuer": // before their Secrets, which cert-manager would make anew
		return goWorkloads
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service":
		return goWorkloads
	case "CustomResourceDefinition":
		return goDefinitions
	case "Namespace":
		return goNamespaces
	}
	return goRest
}

// Removing hears what Uninstall does, as it does it.
type Removing interface {
	Stage(doc string, objects int)
	Removed(subject string)
}

// Uninstall does what was planned. It can be interrupted at any point and run
// again: the inventory, by which it goes, is the last to go but for namespaces.
func (c *Cluster) Uninstall(ctx context.Context, r *Removal, options UninstallOptions, report Removing) error {
	byStage := map[string][]*unstructured.Unstructured{}
	for _, stage := range r.Stages {
		byStage[stage.Doc] = stage.Objects
	}
	for n, doc := range removalDocs {
		if n == goUsers && r.purge {
			if err := c.removeUsers(ctx, r.Users, options, report); err != nil {
				return fmt.Errorf("removing %s: %w; run the same command again to go on", doc, err)
			}
		}
		if n == goNamespaces {
			if err := c.forget(ctx, report); err != nil {
				return fmt.Errorf("removing the inventory: %w; run the same command again to go on", err)
			}
		}
		if objects := byStage[doc]; len(objects) > 0 {
			report.Stage(doc, len(objects))
			if err := c.remove(ctx, objects, options, report); err != nil {
				return fmt.Errorf("removing %s: %w; run the same command again to go on", doc, err)
			}
		}
	}
	return nil
}

// forget removes the inventory, and the ClusterInterceptor once more: until the
// interceptor's last Pod had gone it may have been written again.
func (c *Cluster) forget(ctx context.Context, report Removing) error {
	published, err := c.find(ctx, schema.FromAPIVersionAndKind(byServers[0].apiVersion, byServers[0].kind), client.ObjectKey{Name: byServers[0].name})
	if err == nil && published != nil {
		err = c.delete(ctx, published, report)
	}
	return errors.Join(err, c.delete(ctx, inventorySecret(), report))
}

// delete asks for an object's end and does not wait for it.
func (c *Cluster) delete(ctx context.Context, obj client.Object, report Removing) error {
	options := []client.DeleteOption{client.PropagationPolicy(metav1.DeletePropagationBackground)}
	if uid := obj.GetUID(); uid != "" {
		// Somebody may have made another of that name since.
		options = append(options, client.Preconditions{UID: &uid})
	}
	err := c.client.Delete(ctx, obj, options...)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err), apierrors.IsConflict(err):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", subject(obj), err)
	}
	report.Removed(subject(obj))
	return nil
}

func subject(obj client.Object) string {
	kind := obj.GetObjectKind().GroupVersionKind().Kind
	if obj.GetNamespace() == "" {
		return kind + "/" + obj.GetName()
	}
	return kind + "/" + obj.GetNamespace() + "/" + obj.GetName()
}

// remove deletes objects and waits until they are gone.
func (c *Cluster) remove(ctx context.Context, objects []*unstructured.Unstructured, options UninstallOptions, report Removing) error {
	for _, obj := range objects {
		if err := c.delete(ctx, obj, report); err != nil {
			return err
		}
	}
	return gone(ctx, options.Timeout, func() ([]string, error) {
		var left []string
		for _, obj := range objects {
			live, err := c.find(ctx, obj.GroupVersionKind(), client.ObjectKeyFromObject(obj))
			if err != nil {
				return nil, err
			}
			if live != nil && live.GetUID() == obj.GetUID() {
				left = append(left, name(live)+whyStill(live))
			}
		}
		return left, nil
	})
}

// whyStill says what an object that is being deleted waits for.
func whyStill(obj *unstructured.Unstructured) string {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, item := range conditions {
		condition, _ := item.(map[string]any)
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
