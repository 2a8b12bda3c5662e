package installer

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
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
func (c *Cluster) userObjects(ctx context.Context, found, known []*unstructured.Unstructured) ([]UserObjects, error) {
	ours := map[string]bool{}
	for _, obj := range known {
		ours[identity(obj)] = true
	}
	ours["triggers.tekton.dev ClusterInterceptor/tekgate"] = true
	var all []UserObjects
	for _, crd := range found {
		if crd.GetKind() != "CustomResourceDefinition" {
			continue
		}
		users := UserObjects{Kind: storedKind(crd), definition: crd}
		if err := c.listUsers(ctx, &users, ours); err != nil {
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

// storedKind is a definition's kind in the version in which most objects are
// stored, so that the fewest have to be converted.
func storedKind(crd *unstructured.Unstructured) schema.GroupVersionKind {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		if name, _ := version["name"].(string); version["storage"] == true {
			return schema.GroupVersionKind{Group: group, Version: name, Kind: kind}
		}
	}
	return schema.GroupVersionKind{Group: group, Kind: kind}
}

func (c *Cluster) listUsers(ctx context.Context, users *UserObjects, ours map[string]bool) error {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(users.Kind)
	asking, done := context.WithTimeout(ctx, listTimeout)
	defer done()
	err := c.client.List(asking, list)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
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
		if ours[users.Kind.Group+" "+subject(&item)] {
			continue
		}
		users.objects = append(users.objects, item)
		users.Names = append(users.Names, strings.TrimPrefix(item.Namespace+"/"+item.Name, "/"))
	}
	return nil
}

// removeUsers deletes what users have made, kind by kind, and waits for it.
func (c *Cluster) removeUsers(ctx context.Context, all []UserObjects, options UninstallOptions, report Removing) error {
	for i := range all {
		users := &all[i]
		if users.Unknown != "" {
			if err := c.readable(ctx, users); err != nil {
				return err
			}
		}
		report.Stage("users' "+users.Kind.Kind+" objects", len(users.objects))
		tasks, working := errgroup.WithContext(ctx)
		tasks.SetLimit(parallel)
		quiet := &collected{}
		for i := range users.objects {
			tasks.Go(func() error { return c.delete(working, &users.objects[i], quiet) })
		}
		err := tasks.Wait()
		if err == nil {
			err = c.usersGone(ctx, users, options)
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

// collected ignores what is said by several goroutines at once.
type collected struct{}

func (*collected) Stage(string, int) {}
func (*collected) Removed(string)    {}

// readable lists objects that could not be listed, after telling the server to
// no longer ask the conversion webhook: where Tekton's has no Pods, whatever is
// stored in an older version could be neither read nor deleted.
func (c *Cluster) readable(ctx context.Context, users *UserObjects) error {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"conversion":{"strategy":"None","webhook":null}}}`))
	if err := c.client.Patch(ctx, users.definition.DeepCopy(), patch); err != nil {
		return fmt.Errorf("%s: turning conversion off: %w", name(users.definition), err)
	}
	return gone(ctx, definitionsTimeout, func() ([]string, error) {
		if err := c.listUsers(ctx, users, nil); err != nil || users.Unknown == "" {
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
func (c *Cluster) usersGone(ctx context.Context, users *UserObjects, options UninstallOptions) error {
	doomed := map[types.UID]bool{}
	for _, obj := range users.objects {
		doomed[obj.GetUID()] = true
	}
	patience := time.Now().Add(options.Timeout / 2)
	return gone(ctx, options.Timeout, func() ([]string, error) {
		var now UserObjects
		now.Kind = users.Kind
		if err := c.listUsers(ctx, &now, nil); err != nil {
			return nil, err
		}
		var left []string
		for i := range now.objects {
			obj := &now.objects[i]
			if !doomed[obj.GetUID()] {
				continue
			}
			left = append(left, subject(obj)+", which "+finalizerReason(obj.GetFinalizers()))
			if options.RemoveFinalizers && time.Now().After(patience) {
				if err := c.unfinalize(ctx, obj); err != nil {
					return nil, err
				}
			}
		}
		return left, nil
	})
}

func (c *Cluster) unfinalize(ctx context.Context, obj *metav1.PartialObjectMetadata) error {
	err := c.client.Patch(ctx, obj.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("%s: taking its finalizers off: %w", subject(obj), err)
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
func (c *Cluster) namespaces(ctx context.Context, r *Removal, leaving, known []*unstructured.Unstructured, options UninstallOptions) ([]*unstructured.Unstructured, error) {
	going := map[string]bool{}
	for _, obj := range slices.Concat(leaving, known) {
		going[identity(obj)] = true
	}
	for _, e := range r.Edited {
		delete(going, identity(e.Object))
	}
	if r.purge {
		for _, users := range r.Users {
			for i := range users.objects {
				going[users.Kind.Group+" "+subject(&users.objects[i])] = true
			}
		}
	}
	var staying []*unstructured.Unstructured
	for _, obj := range leaving {
		if obj.GetKind() != "Namespace" {
			staying = append(staying, obj)
			continue
		}
		others, err := c.others(ctx, obj.GetName(), r, going, options)
		if err != nil {
			return nil, err
		}
		switch {
		case len(others) == 0, r.purge:
			r.Strays = append(r.Strays, others...)
			staying = append(staying, obj)
		default:
			r.Kept = append(r.Kept, Staying{name(obj), "it holds " + some(others)})
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
func (c *Cluster) others(ctx context.Context, namespace string, r *Removal, going map[string]bool, options UninstallOptions) ([]string, error) {
	lists, err := options.Resources()
	var others []string
	if err != nil {
		// A namespace that cannot be seen into is not deleted.
		others = append(others, "kinds that the server cannot list ("+err.Error()+")")
	}
	for _, list := range lists {
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || !slices.Contains(resource.Verbs, "delete") || slices.Contains(transient, resource.Kind) {
				continue
			}
			kind := schema.FromAPIVersionAndKind(list.GroupVersion, resource.Kind)
			found, err := c.othersOf(ctx, namespace, kind, r, going)
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
func (c *Cluster) othersOf(ctx context.Context, namespace string, kind schema.GroupVersionKind, r *Removal, going map[string]bool) ([]string, error) {
	unseen := []string{kind.Kind + " objects that cannot be listed"}
	if slices.ContainsFunc(r.Users, func(u UserObjects) bool { return u.Unknown != "" && u.Kind.GroupKind() == kind.GroupKind() }) {
		if r.purge {
			return nil, nil // they are said to die already
		}
		return unseen, nil
	}
	metadata := &metav1.PartialObjectMetadataList{}
	metadata.SetGroupVersionKind(kind)
	asking, done := context.WithTimeout(ctx, listTimeout)
	defer done()
	err := c.client.List(asking, metadata, client.InNamespace(namespace))
	switch {
	case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err), meta.IsNoMatchError(err):
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
		if !going[kind.Group+" "+subject(obj)] && !bySystem(obj) {
			others = append(others, subject(obj))
		}
	}
	return others, nil
}

// transient kinds say nothing about whether a namespace is used.
var transient = []string{"Event", "Lease", "Endpoints", "EndpointSlice", "ControllerRevision"}

// bySystem reports whether Kubernetes, or a workload that goes, made an object.
func bySystem(obj *metav1.PartialObjectMetadata) bool {
	switch obj.Kind + "/" + obj.Name {
	case "ServiceAccount/default", "ConfigMap/kube-root-ca.crt", "ConfigMap/openshift-service-ca.crt", "Secret/" + InventoryName:
		return true
	}
	if obj.Kind == "Secret" && obj.Annotations["kubernetes.io/service-account.name"] != "" {
		return true
	}
	return metav1.GetControllerOf(obj) != nil
}

// Backup returns, in full, the objects of users that the removal takes away.
// Secrets are left out and named.
func (c *Cluster) Backup(ctx context.Context, r *Removal) (objects []*unstructured.Unstructured, leftOut []string, err error) {
	for _, e := range r.Edited {
		objects = append(objects, e.Object)
	}
	for _, users := range r.Users {
		for i := range users.objects {
			obj, err := c.find(ctx, users.Kind, client.ObjectKeyFromObject(&users.objects[i]))
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
