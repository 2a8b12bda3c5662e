package uninstall

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// firstToGo is the order of the kinds whose order matters: first what starts
// runs, then runs from the outermost in, for a PipelineRun that loses a TaskRun
// starts another. All other kinds follow.
var firstToGo = []string{"EventListener", "Trigger", "PipelineRun", "CustomRun", "Run", "TaskRun"}

// listTimeout bounds one list: where objects have to be converted by a webhook
// that no longer answers, the server waits for it.
const listTimeout = 15 * time.Second

// userObjects lists, kind by kind, what users have made of the kinds that are
// installed. Their metadata alone are read.
func (r *Removal) userObjects(ctx context.Context, found, known []*unstructured.Unstructured) ([]UserObjects, error) {
	ours := map[string]bool{}
	for _, obj := range known {
		ours[kube.Identity(obj)] = true
	}
	ours[kube.Identity(interceptor)] = true
	var all []UserObjects
	for _, crd := range found {
		if crd.GetKind() != live.Definition.Kind {
			continue
		}
		users := UserObjects{Kind: manifest.StorageKind(crd), definition: crd}
		if err := r.listUsers(ctx, &users, ours); err != nil {
			return nil, err
		}
		if len(users.Names) > 0 || users.Unknown != "" {
			all = append(all, users)
		}
	}
	slices.SortStableFunc(all, func(a, b UserObjects) int { return rank(a) - rank(b) })
	return all, nil
}

func rank(u UserObjects) int {
	if i := slices.Index(firstToGo, u.Kind.Kind); i >= 0 {
		return i
	}
	return len(firstToGo)
}

func (r *Removal) listUsers(ctx context.Context, users *UserObjects, ours map[string]bool) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(users.Kind)
	asking, done := context.WithTimeout(ctx, listTimeout)
	defer done()
	err := r.cluster.Client().List(asking, list)
	switch {
	case kube.Absent(err):
		return nil
	case err != nil && ctx.Err() == nil:
		users.Unknown = err.Error()
		return nil
	case err != nil:
		return err
	}
	users.Names, users.objects, users.Unknown = nil, nil, ""
	for _, item := range list.Items {
		item.SetGroupVersionKind(users.Kind)
		if ours[kube.Identity(&item)] {
			continue
		}
		users.objects = append(users.objects, item)
		users.Names = append(users.Names, strings.TrimPrefix(item.Namespace+"/"+item.Name, "/"))
	}
	return nil
}

// removeUsers deletes what users have made, kind by kind, and waits for it.
func (r *Removal) removeUsers(ctx context.Context, report Reporter) error {
	for i := range r.Users {
		users := &r.Users[i]
		if users.Unknown != "" {
			if err := r.readable(ctx, users); err != nil {
				return err
			}
		}
		report.Stage("users' "+users.Kind.Kind+" objects", len(users.objects))
		tasks, working := errgroup.WithContext(ctx)
		tasks.SetLimit(installer.Parallel)
		silent := quiet{}
		for i := range users.objects {
			tasks.Go(func() error { return r.delete(working, &users.objects[i], silent) })
		}
		err := tasks.Wait()
		if err == nil {
			err = r.usersGone(ctx, users)
		}
		if err != nil {
			return err
		}
		for _, name := range users.Names {
			report.Removed(users.Kind.Kind + "/" + name)
		}
	}
	return nil
}

// quiet ignores what is said by several goroutines at once.
type quiet struct{}

func (quiet) Stage(string, int) {}
func (quiet) Removed(string)    {}

// readable lists objects that could not be listed, after telling the server to
// no longer ask the conversion webhook: where Tekton's has no Pods, whatever is
// stored in an older version could be neither read nor deleted.
func (r *Removal) readable(ctx context.Context, users *UserObjects) error {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"conversion":{"strategy":"None","webhook":null}}}`))
	if err := r.cluster.Client().Patch(ctx, users.definition.DeepCopy(), patch); err != nil {
		return fmt.Errorf("%s: turning conversion off: %w", kube.Name(users.definition), err)
	}
	return gone(ctx, definitionsTimeout, func() ([]string, error) {
		if err := r.listUsers(ctx, users, nil); err != nil || users.Unknown == "" {
			return nil, err
		}
		return []string{users.Kind.Kind + ": " + users.Unknown}, nil
	})
}

// definitionsTimeout bounds how long the server may take to serve a definition
// in its new form.
const definitionsTimeout = 30 * time.Second

// usersGone waits until objects are gone. Finalizers that nobody takes off within
// half of the time are taken off here, if that was asked for.
func (r *Removal) usersGone(ctx context.Context, users *UserObjects) error {
	doomed := map[types.UID]bool{}
	for _, obj := range users.objects {
		doomed[obj.GetUID()] = true
	}
	patience := time.Now().Add(r.options.Timeout / 2)
	return gone(ctx, r.options.Timeout, func() ([]string, error) {
		var now UserObjects
		now.Kind = users.Kind
		if err := r.listUsers(ctx, &now, nil); err != nil {
			return nil, err
		}
		var left []string
		for i := range now.objects {
			obj := &now.objects[i]
			if !doomed[obj.GetUID()] {
				continue
			}
			left = append(left, kube.Name(obj)+", which "+finalizerReason(obj.GetFinalizers()))
			if r.options.RemoveFinalizers && time.Now().After(patience) {
				if err := r.unfinalize(ctx, obj); err != nil {
					return nil, err
				}
			}
		}
		return left, nil
	})
}

func (r *Removal) unfinalize(ctx context.Context, obj *metav1.PartialObjectMetadata) error {
	err := r.cluster.Client().Patch(
		ctx,
		obj.DeepCopy(),
		client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)),
	)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: taking its finalizers off: %w", kube.Name(obj), err)
	}
	return nil
}

// finalizers says who takes off the ones that are met on Tekton's objects.
var finalizers = map[string]string{
	"chains.tekton.dev":                          "Tekton Chains takes it off once it has signed the run",
	"eventlisteners.triggers.tekton.dev":         "Triggers' controller takes it off",
	"results.tekton.dev/taskrun":                 "Tekton Results takes it off once it has stored the run",
	"results.tekton.dev/pipelinerun":             "Tekton Results takes it off once it has stored the run",
	"customresourcecleanup.apiextensions.k8s.io": "the API server takes it off when no object of the kind is left",
	"foregroundDeletion":                         "the garbage collector takes it off when what it owns is gone",
}

func finalizerReason(names []string) string {
	if len(names) == 0 {
		return "is being deleted"
	}
	var reasons []string
	for _, f := range names {
		who, known := finalizers[f]
		if !known {
			who = "the controller that set it takes it off"
		}
		reasons = append(reasons, "waits for finalizer "+f+" ("+who+")")
	}
	return strings.Join(reasons, " and ")
}

// namespaces decides about the namespaces among leaving objects: one that holds
// anything that is not part of the installation stays, and in a purge is said to
// take that with it.
func (r *Removal) namespaces(
	ctx context.Context,
	leaving, known []*unstructured.Unstructured,
) ([]*unstructured.Unstructured, error) {
	going := map[string]bool{}
	for _, obj := range slices.Concat(leaving, known) {
		going[kube.Identity(obj)] = true
	}
	for _, e := range r.Edited {
		delete(going, kube.Identity(e.Object))
	}
	if r.options.Purge {
		for _, users := range r.Users {
			for i := range users.objects {
				going[kube.Identity(&users.objects[i])] = true
			}
		}
	}
	var staying []*unstructured.Unstructured
	for _, obj := range leaving {
		if obj.GetKind() != "Namespace" {
			staying = append(staying, obj)
			continue
		}
		others, err := r.others(ctx, obj.GetName(), going)
		if err != nil {
			return nil, err
		}
		switch {
		case len(others) == 0, r.options.Purge:
			r.Strays = append(r.Strays, others...)
			staying = append(staying, obj)
		default:
			r.Kept = append(r.Kept, Staying{kube.Name(obj), "it holds " + some(others)})
		}
	}
	return staying, nil
}

func some(subjects []string) string {
	const most = 5
	if len(subjects) <= most {
		return strings.Join(subjects, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(subjects[:most], ", "), len(subjects)-most)
}

// others returns what a namespace holds beside the installation and what
// Kubernetes puts into every namespace.
func (r *Removal) others(ctx context.Context, namespace string, going map[string]bool) ([]string, error) {
	lists, err := r.options.Resources()
	var others []string
	if err != nil {
		// A namespace that cannot be seen into is not deleted.
		others = append(others, "kinds that the server cannot list ("+err.Error()+")")
	}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "delete") ||
				slices.Contains(transient, resource.Kind) {
				continue
			}
			kind := schema.FromAPIVersionAndKind(list.GroupVersion, resource.Kind)
			found, err := r.othersOf(ctx, namespace, kind, going)
			if err != nil {
				return nil, err
			}
			others = append(others, found...)
		}
	}
	slices.Sort(others)
	return others, nil
}

// othersOf does for one kind what others does for all.
func (r *Removal) othersOf(
	ctx context.Context,
	namespace string,
	kind schema.GroupVersionKind,
	going map[string]bool,
) ([]string, error) {
	unseen := []string{kind.Kind + " objects that cannot be listed"}
	if slices.ContainsFunc(
		r.Users,
		func(u UserObjects) bool { return u.Unknown != "" && u.Kind.GroupKind() == kind.GroupKind() },
	) {
		if r.options.Purge {
			return nil, nil // they are said to die already
		}
		return unseen, nil
	}
	metadata := &metav1.PartialObjectMetadataList{}
	metadata.SetGroupVersionKind(kind)
	asking, done := context.WithTimeout(ctx, listTimeout)
	defer done()
	err := r.cluster.Client().List(asking, metadata, client.InNamespace(namespace))
	switch {
	case kube.Absent(err), apierrors.IsMethodNotSupported(err):
		return nil, nil
	case err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		return unseen, nil
	}
	var others []string
	for i := range metadata.Items {
		obj := &metadata.Items[i]
		obj.SetGroupVersionKind(kind)
		if !going[kube.Identity(obj)] && !bySystem(obj) {
			others = append(others, kube.Name(obj))
		}
	}
	return others, nil
}

// transient kinds say nothing about whether a namespace is used.
var transient = []string{"Event", "Lease", "Endpoints", "EndpointSlice", "ControllerRevision"}

// bySystem reports whether Kubernetes, or a workload that goes, made an object.
func bySystem(obj *metav1.PartialObjectMetadata) bool {
	switch obj.Kind + "/" + obj.Name {
	case "ServiceAccount/default",
		"ConfigMap/kube-root-ca.crt",
		"ConfigMap/openshift-service-ca.crt",
		"Secret/" + installer.InventoryName:
		return true
	}
	if obj.Kind == "Secret" && obj.Annotations["kubernetes.io/service-account.name"] != "" {
		return true
	}
	return metav1.GetControllerOf(obj) != nil
}

// Backup returns, in full, the objects of users that the removal takes away.
// Secrets are left out and named.
func (r *Removal) Backup(ctx context.Context) (objects []*unstructured.Unstructured, leftOut []string, err error) {
	for _, e := range r.Edited {
		objects = append(objects, e.Object)
	}
	for _, users := range r.Users {
		for i := range users.objects {
			obj, err := r.cluster.Get(ctx, users.Kind, users.objects[i].Namespace, users.objects[i].Name)
			if err != nil {
				return nil, nil, err
			}
			if obj != nil {
				objects = append(objects, obj)
			}
		}
		if users.Unknown != "" {
			leftOut = append(leftOut, users.Kind.Kind+" objects, which cannot be listed: "+users.Unknown)
		}
	}
	return objects, append(leftOut, r.Strays...), nil
}
