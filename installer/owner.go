package installer

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Owner is a tool that keeps objects as it wants them, and would undo or fight
// what Tekgate applies to them.
type Owner struct {
	// Name says which tool, and which of its units where it says so.
	Name   string
	Remedy string
}

// owners are the tools that are known, and how each marks its objects. The
// label app.kubernetes.io/instance proves nothing, for Tekton sets it itself.
var owners = []struct {
	name, remedy string
	// references are API groups of owner references.
	references []string
	// marks are labels and annotations whose value names the owning unit.
	marks []string
	// managers are field managers.
	managers []string
}{
	{
		name: "tektoncd/operator", remedy: "remove it, or the TektonConfig that it obeys, before Tekgate takes over",
		references: []string{"operator.tekton.dev"},
		marks:      []string{"operator.tekton.dev/release", "operator.tekton.dev/operand-name"},
	},
	{
		name:       "the Operator Lifecycle Manager",
		remedy:     "delete its Subscription and ClusterServiceVersion before Tekgate takes over",
		references: []string{"operators.coreos.com"},
		marks:      []string{"olm.owner"},
	},
	{
		name: "Argo CD", remedy: "remove Tekton from that Application, or let Argo CD apply what `tekgate render --split` writes",
		references: []string{"argoproj.io"},
		marks:      []string{"argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"},
		managers:   []string{"argocd-controller", "argocd-application-controller"},
	},
	{
		name: "Flux", remedy: "remove Tekton from that Kustomization or HelmRelease, or let Flux apply what `tekgate render --split` writes",
		references: []string{"kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"},
		marks:      []string{"kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"},
		managers:   []string{"kustomize-controller", "helm-controller"},
	},
	{
		name: "Helm", remedy: "uninstall that Helm release, keeping its CRDs, before Tekgate takes over",
		marks:    []string{"meta.helm.sh/release-name"},
		managers: []string{"helm"},
	},
}

// OwnerOf returns the tool that owns an object of the cluster. A mark proves nothing that
// the object has in the release, too: a ConfigMap of the Manual Approval Gate has the label
// operator.tekton.dev/release. Each may be nil.
func OwnerOf(current, rendered *unstructured.Unstructured) (Owner, bool) {
	if current == nil {
		return Owner{}, false
	}
	for _, o := range owners {
		for _, ref := range current.GetOwnerReferences() {
			group, _, _ := strings.Cut(ref.APIVersion, "/")
			if slices.Contains(o.references, group) {
				return Owner{o.name + " (" + ref.Kind + " " + ref.Name + ")", o.remedy}, true
			}
		}
		for _, mark := range o.marks {
			for _, values := range []map[string]string{current.GetLabels(), current.GetAnnotations()} {
				if unit := values[mark]; unit != "" && !marked(rendered, mark, unit) {
					return Owner{o.name + " (" + unit + ")", o.remedy}, true
				}
			}
		}
		for _, entry := range current.GetManagedFields() {
			if slices.Contains(o.managers, entry.Manager) {
				return Owner{o.name, o.remedy}, true
			}
		}
	}
	return Owner{}, false
}

// marked reports whether an object, if any, has a label or annotation of this value.
func marked(obj *unstructured.Unstructured, mark, value string) bool {
	return obj != nil && (obj.GetLabels()[mark] == value || obj.GetAnnotations()[mark] == value)
}
