package installer

import (
	"cmp"
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// StageID identifies a stage.
type StageID int

// The stages, in the order in which a release can be applied, to an empty cluster and to
// one that runs an older release.
const (
	StageNamespaces StageID = iota
	StageDefinitions
	StageBase // whatever else does not depend on the stages that follow
	StageAdmission
	StageConfiguration
	StageCustom
	StageWorkloads
	StageServers
	StageWebhooks
	StagePrune // not part of arrange: it removes objects
)

// Stage is a set of objects that are applied together, after those of the stages before.
type Stage struct {
	ID StageID
	// Doc describes the stage, for reports.
	Doc     string
	Objects []*unstructured.Unstructured

	changes []*Change
	// wait returns once the next stage can begin.
	wait func(*run, context.Context, []*Change) error
}

// required reports whether the stage's wait has to return, whatever the user's options:
// later stages cannot be applied before, or a webhook may refuse only then.
func (s Stage) required() bool {
	return s.ID == StageDefinitions || s.ID == StageWebhooks && slices.ContainsFunc(s.changes, hardens)
}

// stages are ordered for these reasons. Nothing exists in a namespace or of a kind that
// does not exist (tektoncd/triggers#1006). Existing ConfigMaps wait for the new admission
// server, since the old one refuses keys that it does not know (tektoncd/pipeline#7759).
// New ConfigMaps must exist before it starts, and controllers read all ConfigMaps when
// they start.
// The server of Triggers' ClusterInterceptors gives them its CA when it starts, and looks
// for ones without a CA only once a minute (Triggers v0.37, cmd/interceptors/main.go): so
// they are created before it.
// A certificate that cannot be issued is detected before any server needs it.
// Tekgate's webhooks come last, so that no request is sent to a server that does not run.
var stages = []Stage{
	{ID: StageNamespaces, Doc: "namespaces"},
	{ID: StageDefinitions, Doc: "definitions", wait: (*run).waitDefinitions},
	{ID: StageBase, Doc: "permissions, services and new configuration", wait: (*run).waitCertificates},
	{ID: StageAdmission, Doc: "Tekton's admission servers", wait: (*run).waitAdmission},
	{ID: StageConfiguration, Doc: "changed configuration"},
	{ID: StageCustom, Doc: "interceptors"},
	{ID: StageWorkloads, Doc: "controllers", wait: (*run).waitControllers},
	{ID: StageServers, Doc: "Tekgate's servers", wait: (*run).waitRollouts},
	{ID: StageWebhooks, Doc: "Tekgate's webhooks", wait: (*run).waitWebhooks},
}

// arrange sorts changes into stages, and leaves out stages without changes.
func arrange(changes []*Change) []Stage {
	sorter := newSorter(changes)
	var filled []Stage
	for _, stage := range stages {
		for _, change := range changes {
			if sorter.stageOf(change) == stage.ID {
				stage.changes = append(stage.changes, change)
				stage.Objects = append(stage.Objects, change.Desired)
			}
		}
		if stage.ID == StageAdmission {
			stage.serversFirst()
		}
		if len(stage.Objects) > 0 {
			filled = append(filled, stage)
		}
	}
	return filled
}

// sorter knows what of the objects as a whole decides about each of them.
type sorter struct {
	custom    map[schema.GroupKind]bool // that the release defines
	admission map[string]bool           // identities of the Deployments behind Tekton's webhooks
}

func newSorter(changes []*Change) sorter {
	objects := make([]*unstructured.Unstructured, len(changes))
	for i, change := range changes {
		objects[i] = change.Desired
	}
	return sorter{custom: manifest.NewKinds(objects), admission: admissionServers(objects)}
}

func (s sorter) stageOf(change *Change) StageID {
	obj := change.Desired
	kind := obj.GroupVersionKind()
	switch {
	case kind.Kind == "Namespace":
		return StageNamespaces
	case manifest.IsDefinition(obj):
		return StageDefinitions
	case manifest.IsWebhookConfiguration(obj) && isOwn(obj):
		return StageWebhooks
	case manifest.IsWebhookConfiguration(obj), s.admission[kube.Identity(obj)]:
		return StageAdmission
	case kind.Kind == "ConfigMap" && change.Live != nil:
		return StageConfiguration
	case isWorkload(kind.GroupKind()) && obj.GetNamespace() == Namespace:
		return StageServers
	case isWorkload(kind.GroupKind()):
		return StageWorkloads
	case s.custom[kind.GroupKind()]:
		return StageCustom
	}
	return StageBase
}

// serversFirst moves the configurations that have rules from the start, such as that of
// Tekton Pruner, behind the other objects of the stage: from then on they refuse what their
// server does not judge.
func (s *Stage) serversFirst() {
	slices.SortStableFunc(s.changes, func(a, b *Change) int {
		return cmp.Compare(withRules(a.Desired), withRules(b.Desired))
	})
	for i, change := range s.changes {
		s.Objects[i] = change.Desired
	}
}

func withRules(obj *unstructured.Unstructured) int {
	if manifest.IsWebhookConfiguration(obj) && hasRules(obj) {
		return 1
	}
	return 0
}

// admissionServers returns the Deployments behind the Services that webhook
// configurations other than Tekgate's name. Tekton ships most of its configurations
// without rules: the server behind fills in rules and caBundle once it runs.
func admissionServers(objects []*unstructured.Unstructured) map[string]bool {
	services := map[string]bool{}
	for _, obj := range objects {
		if !manifest.IsWebhookConfiguration(obj) || isOwn(obj) {
			continue
		}
		for _, webhook := range live.Maps(obj.Object, "webhooks") {
			namespace := live.Text(webhook, "clientConfig", "service", "namespace")
			services[" Service/"+namespace+"/"+live.Text(webhook, "clientConfig", "service", "name")] = true
		}
	}
	servers := map[string]bool{}
	for _, obj := range objects {
		if !services[kube.Identity(obj)] {
			continue
		}
		selector, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "selector")
		for _, other := range objects {
			pod, _, _ := unstructured.NestedStringMap(other.Object, "spec", "template", "metadata", "labels")
			if other.GetKind() == "Deployment" && other.GetNamespace() == obj.GetNamespace() && len(selector) > 0 &&
				labels.SelectorFromSet(selector).Matches(labels.Set(pod)) {
				servers[kube.Identity(other)] = true
			}
		}
	}
	return servers
}
