package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator"
)

// reading lists a cluster's objects, each kind once, and keeps those that are to be
// judged.
type reading struct {
	server   *lookup.Server
	scope    auditScope
	selector labels.Selector
	own      string // namespace of the kubeconfig's context
	show     *cli.StatusLine
	report   *auditReport
	there    *snapshot

	namespaces []string          // all that are known
	excluded   map[string]string // why, by namespace
	judged     []auditedObject
}

// auditedObject is one that is to be judged.
type auditedObject struct {
	subject validator.Subject
	created time.Time
}

// all reads everything.
func (r *reading) all(ctx context.Context) error {
	if err := r.exclude(ctx); err != nil {
		return err
	}
	var unserved []string
	for _, kind := range auditedKinds() {
		if r.scope.namespace != "" && inCluster(kind) {
			continue // of another namespace, as it were; rules look them up one by one
		}
		_, served, err := r.server.Served(kind)
		switch {
		case err != nil:
			return err
		case !served:
			unserved = append(unserved, kind.Kind)
			continue
		}
		if err := r.kind(ctx, kind); err != nil {
			return err
		}
	}
	r.report.Unserved = append(r.report.Unserved, unserved...)
	r.say("the cluster serves no ", unserved)
	r.show.Clear()
	slices.SortStableFunc(r.judged, auditedObject.compare)
	return nil
}

// compare orders objects by namespace, kind and name.
func (o auditedObject) compare(other auditedObject) int {
	key := func(o auditedObject) string {
		return strings.Join([]string{o.subject.Namespace, o.subject.Kind.Kind, o.subject.Kind.Group, o.subject.Name()},
			"\x00")
	}
	return strings.Compare(key(o), key(other))
}

func (r *reading) say(what string, list []string) {
	if len(list) > 0 {
		r.show.Clear()
		fmt.Fprintf(r.show.Out, "%s%s\n", what, strings.Join(list, ", "))
	}
}

func (r *reading) use(configuration string) {
	r.report.Config = configuration
	fmt.Fprintf(r.show.Out, "the rules are configured by %s\n", configuration)
}

// inCluster tells whether a kind of Tekton's has no namespaces.
func inCluster(kind schema.GroupKind) bool { return strings.HasPrefix(kind.Kind, "Cluster") }

// exclude finds out which namespaces are left out: those that the webhook leaves out.
func (r *reading) exclude(ctx context.Context) error {
	r.excluded = map[string]string{}
	if r.scope.namespace != "" {
		return nil
	}
	system, err := systemNamespaces()
	if err != nil {
		return err
	}
	for _, name := range system {
		r.excluded[name] = "it is the system's, Tekton's or Tekgate's own"
	}
	err = r.server.Each(ctx, schema.GroupKind{Kind: "Namespace"}, "", func(obj *unstructured.Unstructured) error {
		r.namespaces = append(r.namespaces, obj.GetName())
		if obj.GetLabels()[wellknown.ValidateKey] == wellknown.Disabled {
			r.excluded[obj.GetName()] = "its label " + wellknown.ValidateKey + " is disabled"
		}
		return nil
	})
	if refusedByServer(err) {
		r.namespaces = []string{r.own}
		fmt.Fprintf(r.show.Out, "warning: %v: those that opted out by a label are judged as well\n", err)
		return nil
	}
	return err
}

// systemNamespaces are those that the webhook leaves out, as its configuration says.
func systemNamespaces() ([]string, error) {
	selectors, err := objects.Selectors(live.Validating.Kind)
	if err != nil {
		return nil, err
	}
	for _, selector := range selectors {
		if selector == nil {
			continue
		}
		for _, expression := range selector.MatchExpressions {
			if expression.Key == corev1.LabelMetadataName {
				return expression.Values, nil
			}
		}
	}
	return nil, nil
}

// kind lists one kind wherever it is wanted and allowed.
func (r *reading) kind(ctx context.Context, kind schema.GroupKind) error {
	err := r.list(ctx, kind, r.scope.namespace)
	switch {
	case !refusedByServer(err):
		return err
	case r.scope.namespace != "":
		r.unread(kind.Kind, []string{r.scope.namespace}, err, mayList(kind))
	case r.scope.everywhere || inCluster(kind) || !apierrors.IsForbidden(err):
		r.unread(kind.Kind, nil, err, mayList(kind))
	default:
		return r.piecemeal(ctx, kind, err)
	}
	return nil
}

// piecemeal lists a kind namespace by namespace.
func (r *reading) piecemeal(ctx context.Context, kind schema.GroupKind, all error) error {
	var refused []string
	read := 0
	for _, namespace := range r.namespaces {
		if r.excluded[namespace] != "" {
			continue
		}
		err := r.list(ctx, kind, namespace)
		switch {
		case refusedByServer(err):
			refused = append(refused, namespace)
		case err != nil:
			return err
		default:
			read++
		}
	}
	if read == 0 {
		refused = nil // nowhere
	}
	if read == 0 || len(refused) > 0 {
		r.unread(kind.Kind, refused, all, mayList(kind))
	}
	return nil
}

func mayList(kind schema.GroupKind) string {
	return fmt.Sprintf("ask for the permission to list %s, or name a namespace of yours with -n", resource(kind))
}

// resource is what RBAC calls a kind.
func resource(kind schema.GroupKind) string {
	plural := strings.ToLower(kind.Kind) + "s"
	if kind.Group == "" {
		return plural
	}
	return plural + "." + kind.Group
}

// unread notes what could not be read. No namespaces are all.
func (r *reading) unread(kind string, namespaces []string, err error, remedy string) {
	r.report.Complete = false
	r.report.Unread = append(r.report.Unread,
		auditUnread{Kind: kind, Namespaces: namespaces, Reason: err.Error(), Remedy: remedy})
	r.show.Clear()
	fmt.Fprintf(r.show.Out, "warning: %v: what is there is not judged: %s\n", err, remedy)
}

// refusedByServer tells whether the server answered, and with a refusal or a failure,
// of which the next question may know nothing.
func refusedByServer(err error) bool {
	return err != nil && apierrors.ReasonForError(err) != ""
}

func (r *reading) list(ctx context.Context, kind schema.GroupKind, namespace string) error {
	count := 0
	err := r.server.Each(ctx, kind, namespace, func(obj *unstructured.Unstructured) error {
		if count++; count%100 == 0 {
			r.show.Show(fmt.Sprintf("reading %ss: %d", kind.Kind, count))
		}
		return r.visit(obj)
	})
	if err != nil {
		return err
	}
	if !isRun(kind) { // of those some are left out
		r.there.complete(kind, namespace)
	}
	if r.show.Live {
		r.show.Show(fmt.Sprintf("reading %ss: %d", kind.Kind, count))
	} else if count > 0 {
		fmt.Fprintf(r.show.Out, "read %d %ss%s\n", count, kind.Kind, cli.InNamespace(namespace))
	}
	return nil
}

// visit takes one object in.
func (r *reading) visit(obj *unstructured.Unstructured) error {
	kind, left := obj.GroupVersionKind(), &r.report.LeftOut
	group := kind.GroupKind()
	switch {
	case isRun(group) && ofPipelineRun(obj):
		left.OfPipelineRuns++
		return nil
	case isRun(group) && !r.scope.done && isDone(obj):
		left.Done++
		return nil
	}
	fields, err := reduced(obj)
	if err != nil {
		return err
	}
	r.there.add(group, obj.GetNamespace(), obj.GetName(), fields)
	switch {
	case group == serviceAccountKind:
	case r.excluded[obj.GetNamespace()] != "":
		left.exclude(obj.GetNamespace(), r.excluded[obj.GetNamespace()])
	case !r.selector.Matches(labels.Set(obj.GetLabels())):
	case obj.GetDeletionTimestamp() != nil:
		left.BeingDeleted++
	default:
		r.judged = append(r.judged, auditedObject{
			subject: validator.Subject{Kind: kind, Namespace: obj.GetNamespace(), Fields: fields},
			created: obj.GetCreationTimestamp().UTC(),
		})
	}
	return nil
}

// reduced is an object as rules expect it, without what none looks at.
func reduced(obj *unstructured.Unstructured) (map[string]any, error) {
	obj.SetManagedFields(nil)
	raw, err := json.Marshal(obj.Object)
	if err != nil {
		return nil, err
	}
	return object.Decode(raw)
}

func isRun(kind schema.GroupKind) bool {
	return kind.Group == "tekton.dev" &&
		slices.Contains([]string{"TaskRun", "PipelineRun", "CustomRun", "Run"}, kind.Kind)
}

// ofPipelineRun tells whether a run was made for one.
func ofPipelineRun(obj *unstructured.Unstructured) bool {
	if obj.GetKind() == "PipelineRun" {
		return false // one in another is judged all the same: it has Tasks of its own
	}
	for _, owner := range obj.GetOwnerReferences() {
		if owner.Kind == "PipelineRun" {
			return true
		}
	}
	return false
}

// isDone tells whether a run has succeeded or failed.
func isDone(obj *unstructured.Unstructured) bool {
	for _, condition := range live.Maps(obj.Object, "status", "conditions") {
		if condition["type"] == "Succeeded" {
			return condition["status"] == "True" || condition["status"] == "False"
		}
	}
	return false
}
