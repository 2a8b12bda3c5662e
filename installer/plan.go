package installer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// Change is what is to be done about one object.
type Change struct {
	// Rendered is the object as the release has it, and Desired what is
	// applied: with what the user changed, and without what others decide.
	Rendered, Desired *unstructured.Unstructured
	// Live is what the cluster has; nil where there is none.
	Live *unstructured.Unstructured
	// Action is created, configured or unchanged.
	Action ssa.Action
	// After is what the server would make of Live; nil if there is none, or it could not say yet.
	After *unstructured.Unstructured
	// Unchecked says why the server could not be asked before the first write.
	Unchecked string

	bases    []map[string]string // of a ConfigMap that is merged
	declared []string            // its keys that the configuration decides
	takeover []byte              // a JSON patch of managedFields
	// unanswered says that Tekgate's admission server had to be asked and did not answer.
	unanswered bool
	recreate   bool // the server refuses to change it in place
	migrate    bool // a definition whose objects have to be written anew first
}

// Plan is all that an install would do, found out without writing anything.
type Plan struct {
	Release  Release
	Previous *Inventory
	// Installed are the versions that are in the cluster, by any tool.
	Installed Versions
	Findings  []Finding
	// Notes are sentences about what Tekgate did to the release or will do to
	// the cluster that nobody asked for by name.
	Notes  []string
	Merges []Merge
	// Losses are fields of the user's that the install removes or replaces. Notes name each.
	Losses []Loss
	Stages []Stage
	// Prune are objects of the previous release that the new one does not have.
	Prune []*unstructured.Unstructured
	// Found are the identities of objects of the user's manifests that were in the cluster before
	// Tekgate, see kube.Identity.
	Found []string
	// Left are the definitions, namespaces and keys that the new release does not have, without
	// their content. They stay.
	Left []*unstructured.Unstructured

	changes []*Change
}

// Options are how to install.
type Options struct {
	// Force goes on in spite of fatal findings.
	Force bool
	// Wait makes each stage wait until what it applied is ready, at most
	// Timeout long.
	Wait    bool
	Timeout time.Duration
	// Interval is the time between two looks at what is waited for; 0 for the default.
	Interval time.Duration
	// Previous are the objects that the cluster was installed from, where that
	// was not by Tekgate.
	Previous []*unstructured.Unstructured
	// Released returns the objects of a release that is known, for an installation without
	// inventory and Previous; none for versions that are not known. It may be nil.
	Released func(Versions) ([]*unstructured.Unstructured, error)
	// Findings are what was found wrong before, at the mirrors.
	Findings []Finding
	// LineImplied says that no user has chosen the release line.
	LineImplied bool
	// Older allows versions that are older than what is installed.
	Older bool
	// Returning says that the release is Inventory.Before, to which a rollback returns.
	Returning bool
	// Lease is how long the Lease of an install lasts without renewal; 0 for the default.
	Lease time.Duration
}

// RefusedError says that fatal findings stop an install.
type RefusedError struct{ Findings []Finding }

func (e *RefusedError) Error() string {
	var fatal []string
	for _, f := range e.Findings {
		if f.Fatal {
			fatal = append(fatal, f.String())
		}
	}
	return fmt.Sprintf("nothing was changed, since %d of the checks failed: %s", len(fatal), strings.Join(fatal, "; "))
}

// Plan finds out what installing a release would do, and whether the server
// would accept it. On an error the plan holds what was found until then.
func (c *Cluster) Plan(ctx context.Context, release Release, options Options) (*Plan, error) {
	plan := &Plan{Release: release, Findings: options.Findings}
	objects, notes, unserved, err := manifest.Adapt(release.Objects, c.Serves)
	if err != nil {
		return plan, err
	}
	plan.Release.Objects, plan.Notes = objects, slices.Concat(release.Notes, notes)
	if err := c.settleNamespaces(plan); err != nil {
		return plan, err
	}
	if err := refuseOwn(plan.Release.Objects); err != nil {
		return plan, err
	}
	facts, err := c.gather(ctx, plan.Release)
	if err != nil {
		return plan, err
	}
	facts.Unserved, facts.Older = unserved, options.Older
	plan.Previous, plan.Installed = facts.Inventory, facts.installed()
	plan.Notes = append(plan.Notes, becomes(plan.Installed, plan.Release.Versions)...)
	plan.Findings = slices.Concat(Preflight(plan.Release, facts), options.Findings)
	if !options.Force && slices.ContainsFunc(plan.Findings, func(f Finding) bool { return f.Fatal }) {
		return plan, &RefusedError{plan.Findings}
	}
	plan.findFound(facts)
	base, released, err := plan.adopt(options)
	if err != nil {
		return plan, err
	}
	options.Previous = base
	if err := c.prepare(ctx, plan, facts, options); err != nil {
		return plan, err
	}
	if err := c.dryRun(ctx, plan, options); err != nil {
		return plan, err
	}
	plan.findLosses(released)
	plan.Stages = arrange(plan.changes)
	return plan, nil
}

// settleNamespaces takes the namespace from objects of kinds that have none:
// Pipelines v0.44 has a ClusterRoleBinding with one, which later releases have
// without, and the two are the same object. Objects that need a namespace and
// have none get `default`, as kubectl would do.
func (c *Cluster) settleNamespaces(plan *Plan) error {
	plan.Release.Objects = slices.Clone(plan.Release.Objects)
	for i, obj := range plan.Release.Objects {
		kind := obj.GroupVersionKind()
		mapping, err := c.client.RESTMapper().RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("asking the server for %s: %w", kind.GroupKind(), err)
		}
		namespace := obj.GetNamespace()
		switch namespaced := mapping.Scope.Name() == meta.RESTScopeNameNamespace; {
		case !namespaced:
			namespace = ""
		case namespace == "":
			namespace = "default"
		}
		if namespace != obj.GetNamespace() {
			plan.Release.Objects[i] = obj.DeepCopy()
			plan.Release.Objects[i].SetNamespace(namespace)
		}
	}
	return nil
}

// prepare decides what is applied of each object.
func (c *Cluster) prepare(ctx context.Context, plan *Plan, facts Facts, options Options) error {
	autoscaled, err := c.autoscaled(ctx, plan.Release.Objects)
	if err != nil {
		return err
	}
	plan.Findings = append(plan.Findings, checkReplicas(plan.Release.Declared, plan.Release.Objects, autoscaled)...)
	configured := sameConfig(plan.Release.Objects, facts.Live)
	for _, obj := range plan.Release.Objects {
		id := kube.Identity(obj)
		change := &Change{Rendered: obj, Desired: obj, Live: facts.Live[id], declared: plan.Release.Declared.Keys[id]}
		if manifest.IsWebhookConfiguration(obj) {
			change.Desired = keepConditions(change, plan.Release.Conditions, configured)
		}
		if err := change.prepare(plan, autoscaled, options); err != nil {
			return err
		}
		plan.changes = append(plan.changes, change)
	}
	plan.Prune = orphans(plan)
	return nil
}

func (ch *Change) prepare(plan *Plan, autoscaled map[string]bool, options Options) (err error) {
	obj, current := ch.Rendered, ch.Live
	if autoscaled[kube.Identity(obj)] {
		ch.Desired = obj.DeepCopy()
		keepReplicas(ch.Desired, current)
	}
	if current == nil {
		return nil
	}
	// Tekgate's own configuration comes from a file that the user names, which
	// says more than what is in the cluster.
	if obj.GetKind() == "ConfigMap" && obj.GetNamespace() != Namespace {
		var merges []Merge
		ch.bases = mergeBases(obj, current, plan.Previous, options.Previous)
		ch.Desired, merges = mergeConfigMap(obj, current, ch.bases, ch.declared)
		plan.Merges = append(plan.Merges, merges...)
		plan.Notes = append(plan.Notes, goneKeys(obj, current, ch.bases, merges)...)
	}
	if manifest.IsDefinition(obj) {
		ch.migrate = len(droppedVersions(obj, current)) > 0
	}
	ch.takeover, err = takeover(current)
	return err
}

// autoscaled returns the Deployments that an autoscaler of the release or of
// the cluster sizes.
func (c *Cluster) autoscaled(ctx context.Context, objects []*unstructured.Unstructured) (map[string]bool, error) {
	autoscaler := schema.GroupKind{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}
	var found []*unstructured.Unstructured
	for _, obj := range objects {
		if obj.GroupVersionKind().GroupKind() == autoscaler {
			found = append(found, obj)
		}
	}
	current, err := c.List(ctx, autoscaler.WithVersion("v2"))
	return scaled(append(found, current...)), ignoreForbidden(err)
}

// orphans returns what the release before had and this one has not. CRDs and
// Namespaces hold the users' objects and stay.
func orphans(plan *Plan) []*unstructured.Unstructured {
	wanted := map[string]bool{}
	for _, change := range plan.changes {
		wanted[kube.Identity(change.Rendered)] = true
	}
	var gone []*unstructured.Unstructured
	for _, obj := range plan.Previous.All() {
		switch {
		case wanted[kube.Identity(obj)]:
		case plan.Previous.WasFound(obj):
			plan.Notes = append(plan.Notes,
				kube.Name(obj)+" is no part of this release and stays, for it was in the cluster before Tekgate")
		case manifest.IsDefinition(obj), obj.GetKind() == "Namespace":
			plan.Left = append(plan.Left, NewObject(obj.GroupVersionKind(), "", obj.GetName()))
			plan.Notes = append(
				plan.Notes,
				kube.Name(obj)+" is no part of this release and stays, for it may hold objects of yours",
			)
		case manifest.HoldsKeys(obj):
			plan.Left = append(plan.Left, NewObject(obj.GroupVersionKind(), obj.GetNamespace(), obj.GetName()))
			plan.Notes = append(plan.Notes,
				kube.Name(obj)+" is no part of this release and stays, for it may hold the keys that Chains signs with")
		default:
			gone = append(gone, obj)
		}
	}
	// A webhook would refuse to let go of what it guards, once its server is gone.
	slices.SortStableFunc(gone, func(a, b *unstructured.Unstructured) int {
		return cmp.Compare(pruneOrder(a), pruneOrder(b))
	})
	return gone
}

// pruneOrder returns the place of an object among those that are removed: webhook
// configurations, whatever runs, and then the rest.
func pruneOrder(obj *unstructured.Unstructured) int {
	switch {
	case manifest.IsWebhookConfiguration(obj):
		return 0
	case isWorkload(obj.GroupVersionKind().GroupKind()):
		return 1
	}
	return 2
}

// Changes returns what is to be done about each object, in the release's order.
func (p *Plan) Changes() []*Change { return p.changes }

// Count returns how many objects an action befalls.
func (p *Plan) Count(action ssa.Action) int {
	n := 0
	for _, change := range p.changes {
		if change.Action == action {
			n++
		}
	}
	return n
}

// errRefusedByServer is what all problems of a dry run are.
var errRefusedByServer = errors.New("nothing was changed, since the server would refuse part of it")
