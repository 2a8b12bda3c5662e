package installer

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// dryRun asks the server about every change before the first write, so that no
// object of a release is refused once others of it are in place. It does not ask about
// objects that are applied already: see isApplied.
//
// Three things cannot be asked as they are. What lies in a namespace that is
// yet to come is tried in the namespace `default` under another name, which
// checks everything but that namespace's quotas. What is of a kind that is yet
// to come, and a definition that would drop a version before its objects are
// migrated, is left to its stage. And what Tekton's present admission server
// refuses, or cannot be asked about, is left to its stage where that server is
// itself about to be replaced: an old server refuses new keys, and a broken one
// is what the upgrade may be there to mend. What Tekgate's own admission server
// cannot be asked about is left to its stage, too, after relax.
func (c *Cluster) dryRun(ctx context.Context, plan *Plan, options Options) error {
	coming := upcoming{kinds: manifest.NewKinds(plan.Release.Objects), namespaces: newNamespaces(plan.Release.Objects)}
	missing, terminating, err := c.missingNamespaces(ctx, plan)
	if err != nil {
		return err
	}
	if len(terminating) > 0 {
		return terminatingError(terminating)
	}
	refused := make([]error, len(plan.changes))
	err = forEach(ctx, len(plan.changes), func(ctx context.Context, i int) error {
		refused[i] = c.ask(ctx, plan.changes[i], coming, missing)
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	renewed := renewsAdmission(plan.changes, refused)
	var found refusals
	for i, change := range plan.changes {
		if found.add(c, change, refused[i]) {
			continue
		}
		if err := change.judge(refused[i], renewed, options); err != nil {
			found.problems = append(found.problems, err)
		}
		if change.recreate {
			plan.Notes = append(
				plan.Notes,
				kube.Name(change.Desired)+" is deleted and made anew, since the server does not change it in place",
			)
		}
	}
	if plan.relaxes() {
		plan.Notes = append(plan.Notes, "Tekgate's admission server does not answer, and its webhooks refuse what it does not judge: "+
			"their failurePolicy is set to Ignore before anything else, and to Fail again when it answers")
	}
	return found.err()
}

// upcoming are what the release brings and the cluster may not have yet.
type upcoming struct {
	kinds      map[schema.GroupKind]bool
	namespaces map[string]bool
}

// missingNamespaces returns the release's namespaces that do not exist, and describes those
// that are being deleted.
func (c *Cluster) missingNamespaces(
	ctx context.Context, plan *Plan,
) (missing map[string]bool, terminating []string, err error) {
	missing = map[string]bool{}
	var found []*unstructured.Unstructured
	for _, change := range plan.changes {
		namespace := change.Desired.GetNamespace()
		if _, known := missing[namespace]; known || namespace == "" {
			continue
		}
		current, err := c.Get(ctx, live.Namespace, "", namespace)
		if ignoreForbidden(err) != nil {
			return nil, nil, err
		}
		missing[namespace] = current == nil && err == nil
		found = append(found, current)
	}
	return missing, Terminating(found), nil
}

// ask dry-runs one change and fills in its action.
func (c *Cluster) ask(ctx context.Context, change *Change, coming upcoming, missing map[string]bool) error {
	change.Action = ssa.CreatedAction
	if change.Live != nil {
		change.Action = ssa.ConfiguredAction
	}
	kind := change.Desired.GroupVersionKind()
	if served, err := c.Serves(kind); err != nil || !served && coming.kinds[kind.GroupKind()] {
		change.Unchecked = "its kind is yet to come"
		return err
	}
	if change.migrate {
		change.Unchecked = "its objects are yet to be migrated"
		return nil
	}
	utils.RemoveCABundleFromCRD(change.Desired)
	namespace := change.Desired.GetNamespace()
	elsewhere := missing[namespace]
	if !elsewhere && change.isApplied() {
		change.After, change.Action = change.Live, ssa.UnchangedAction
		return nil
	}
	try := change.Desired.DeepCopy()
	if elsewhere && coming.namespaces[namespace] {
		try.SetNamespace("default")
		try.SetName("tekgate-dry-run")
		change.Unchecked = "its namespace is yet to come; it was tried in another"
	}
	err := c.patch(ctx, try, client.DryRunAll)
	if elsewhere {
		// Rights and quotas are the other namespace's.
		return ignoreForbidden(err)
	}
	if err != nil {
		return err
	}
	if change.Live == nil {
		return nil
	}
	change.After = try
	if change.takeover != nil {
		change.After = c.afterTakeover(ctx, change.Live, try)
	}
	if change.takeover == nil && equal(change.Live, try) {
		change.Action = ssa.UnchangedAction
	}
	return nil
}

// patch applies an object server-side.
func (c *Cluster) patch(ctx context.Context, obj *unstructured.Unstructured, options ...client.ApplyOption) error {
	// The server refuses an apply that carries any.
	obj.SetManagedFields(nil)
	return c.client.Apply(
		ctx,
		client.ApplyConfigurationFromUnstructured(obj),
		append(options, client.FieldOwner(FieldManager), client.ForceOwnership)...)
}

// equal compares two answers of the server, but for what it alone writes.
func equal(a, b *unstructured.Unstructured) bool {
	for _, obj := range []*unstructured.Unstructured{a, b} {
		if obj == nil {
			return false
		}
	}
	if !reflect.DeepEqual(a.GetLabels(), b.GetLabels()) || !reflect.DeepEqual(a.GetAnnotations(), b.GetAnnotations()) {
		return false
	}
	if len(a.Object) != len(b.Object) && (a.Object["status"] == nil) == (b.Object["status"] == nil) {
		return false
	}
	for field, value := range a.Object {
		if field != "metadata" && field != "status" && !reflect.DeepEqual(value, b.Object[field]) {
			return false
		}
	}
	return true
}

var webhookName = lazyregexp.New(`(?:admission webhook|failed calling webhook) "([^"]+)"`)

// byTekton reports whether an error is Tekton's admission server's, or about it.
func byTekton(err error) bool {
	match := webhookName.FindStringSubmatch(err.Error())
	return match != nil && (strings.Contains(match[1]+".", ".tekton.dev.") ||
		strings.HasSuffix(match[1], ".openshift-pipelines.org"))
}

// renewsAdmission reports whether the plan replaces an admission server.
func renewsAdmission(changes []*Change, refused []error) bool {
	sorter := newSorter(changes)
	for i, change := range changes {
		if sorter.admission[kube.Identity(change.Desired)] && refused[i] == nil &&
			change.Action != ssa.UnchangedAction {
			return true
		}
	}
	return false
}

// judge turns what the server said about a change into a problem, or into a
// way around it.
func (ch *Change) judge(refused error, renewed bool, options Options) error {
	switch {
	case refused == nil:
		return nil
	case byTekton(refused) && renewed:
		ch.Unchecked = "Tekton's admission server is replaced first"
		return nil
	case strings.Contains(refused.Error(), "failed calling webhook") && ch.isLive():
		ch.Action = ssa.UnchangedAction
		return nil
	case byOwnServer(refused):
		ch.Unchecked = "Tekgate's admission server does not answer"
		ch.unanswered = true
		return nil
	case immutable(refused) && ch.Live != nil && ch.mayRecreate(options):
		ch.recreate = true
		return nil
	}
	return fmt.Errorf("%s: %w%s", kube.Name(ch.Desired), refused, ch.remedy(refused))
}

func immutable(err error) bool {
	return apierrors.IsInvalid(err) &&
		(strings.Contains(err.Error(), "immutable") || strings.Contains(err.Error(), "cannot change roleRef"))
}

// mayRecreate says whether an object may be deleted and made anew: a binding,
// which holds nothing, or when asked for, a Deployment.
func (ch *Change) mayRecreate(options Options) bool {
	switch ch.Desired.GetKind() {
	case "RoleBinding", "ClusterRoleBinding":
		return true
	case "Deployment":
		return options.Force
	}
	return false
}

func (ch *Change) remedy(refused error) string {
	switch {
	case immutable(refused) && ch.Desired.GetKind() == "Deployment":
		return ": pass --force to have it deleted and made anew, with its Pods"
	case strings.Contains(refused.Error(), "failed calling webhook"):
		return ": that webhook's server does not answer; see which Pods its Service lacks, or delete the webhook configuration if they are gone for good"
	case byTekton(refused):
		return ": Tekton's admission server refuses it, and this release does not replace that server; correct the key in the cluster"
	case meta.IsNoMatchError(refused):
		return ": this server does not serve its kind"
	}
	return ""
}
