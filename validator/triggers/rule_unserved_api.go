package triggers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

var unservedAPIRule = &rule.Rule{
	ID:       "unserved-api",
	Severity: rule.Error,
	Before:   "v1.16.0",
	Kinds: slices.Concat(rule.Served(rule.TriggersGroup, "ClusterInterceptor", "v1beta1"),
		rule.Served(rule.TriggersGroup, "Interceptor", "v1beta1")),
	Unserved: true,
	Doc: `Finds objects that are meant for Tekton and that no CRD of Pipelines v1.15.1 and Triggers v0.37.0
serves, because their kind, version or group is misspelt or never existed: ` + "`kind: Taskrun`" + `,
` + "`tekton.dev/v1beta`, a TriggerTemplate of `tekton.dev/v1beta1`, a StepAction of `tekton.dev/v1`" + `. The API
server answers "no matches for kind"; for what a TriggerTemplate is to create only once an event has been
answered with 202. The finding names the nearest that is served.

| kind | served |
|---|---|
| Task, TaskRun, Pipeline, PipelineRun | tekton.dev/v1, v1beta1 |
| StepAction | tekton.dev/v1beta1, v1alpha1 |
| CustomRun | tekton.dev/v1beta1 |
| VerificationPolicy | tekton.dev/v1alpha1 |
| EventListener, Trigger, TriggerTemplate, TriggerBinding, ClusterTriggerBinding | triggers.tekton.dev/v1beta1, v1alpha1 |
| ClusterInterceptor, Interceptor | triggers.tekton.dev/v1alpha1 |

Kinds that a CustomResourceDefinition beside them defines pass, and so do other groups than these two.
What old releases served is found by removed-api, removed-resources and removed-conditions. ` +
		"`tekgate lint`" + ` asks this rule; admission only with ` + "`policy.triggers.validateAll`" + `, since another
release may be installed, which serves more, and not where Pipelines v1.16.0 or later is. What a newer release serves
passes with ` + "`--live`" + ` too; where its CustomResourceDefinitions cannot be read, a kind that is not known is a hint.`,
	Check: checkUnservedAPI,
}

func checkUnservedAPI(ctx context.Context, p *rule.Pass) {
	if !rule.IsUnserved(p.Kind) || !p.Offline && !rule.PolicyOf[Policy](p).ValidateAll || isDefined(ctx, p) {
		return
	}
	newer := p.Newer()
	if newer != nil && newer.Schemas[p.Kind] != nil {
		return
	}
	if newer != nil && newer.Schemas == nil {
		finding := p.Report("apiVersion",
			"Tekton %s serves no %s in %s, and whether the cluster's %s does could not be read: check the kind and the version",
			rule.KnownReleases[p.Kind.Group], p.Kind.Kind, p.Kind.GroupVersion(), newer.Version)
		finding.Severity, finding.Mode = rule.Info, rule.Audit
		return
	}
	near := nearestServed(p.Kind)
	written := p.Kind.GroupVersion().String()
	what := fmt.Sprintf("Tekton serves no %s in %s", p.Kind.Kind, written)
	switch {
	case near.Empty():
		var kinds []string
		for _, served := range rule.ServedKinds {
			if served.Group == p.Kind.Group && !slices.Contains(kinds, served.Kind) {
				kinds = append(kinds, served.Kind)
			}
		}
		p.Report("kind", "%s: known there are %s", what, strings.Join(kinds, ", "))
	case near.Kind == p.Kind.Kind:
		finding := p.Report("apiVersion", "%s: did you mean %s?", what, near.GroupVersion())
		p.Mend(finding, rule.Edit{Op: "replace", Path: "apiVersion", Value: near.GroupVersion().String()})
	case near.GroupVersion() == p.Kind.GroupVersion():
		finding := p.Report("kind", "%s: did you mean %s?", what, near.Kind)
		if strings.EqualFold(near.Kind, p.Kind.Kind) {
			p.Mend(finding, rule.Edit{Op: "replace", Path: "kind", Value: near.Kind})
		}
	default:
		p.Report("kind", "%s: did you mean %s of %s?", what, near.Kind, near.GroupVersion())
	}
}

// nearestServed returns what is most likely meant by a kind that is not served, an empty one if nothing is.
func nearestServed(kind schema.GroupVersionKind) schema.GroupVersionKind {
	name := kind.Kind
	if !slices.ContainsFunc(rule.ServedKinds, func(k schema.GroupVersionKind) bool { return k.Kind == name }) {
		var names []string
		for _, served := range rule.ServedKinds {
			names = append(names, served.Kind)
		}
		name = suggest.Closest(kind.Kind, names)
	}
	var versions []string
	by := map[string]schema.GroupVersionKind{}
	for _, served := range rule.ServedKinds {
		if served.Kind == name {
			versions = append(versions, served.Version)
			by[served.Version] = served
		}
	}
	if len(versions) == 0 {
		return schema.GroupVersionKind{}
	}
	version := kind.Version
	if version == "" { // the group's name is misspelt or has no version
		return by[versions[0]]
	}
	if near, served := by[version]; served {
		return near
	}
	if len(version) > 2 && strings.HasPrefix(version, "v1") {
		if closest := suggest.Closest(version, versions); closest != "" {
			return by[closest]
		}
	}
	return by[versions[0]]
}

// isDefined reports whether a CustomResourceDefinition that is known serves the object.
func isDefined(ctx context.Context, p *rule.Pass) bool {
	var r object.Reader
	crds := schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
	name := strings.ToLower(p.Kind.Kind) + "s." + p.Kind.Group
	if strings.HasSuffix(p.Kind.Kind, "y") {
		name = strings.ToLower(strings.TrimSuffix(p.Kind.Kind, "y")) + "ies." + p.Kind.Group
	}
	crd, err := p.Cluster.Get(ctx, crds, "", name)
	if err != nil || crd == nil {
		return false
	}
	return slices.ContainsFunc(r.FieldsList(r.Fields(crd, "spec"), "versions"), func(version map[string]any) bool {
		served, _ := version["served"].(bool)
		return served && r.Text(version, "name") == p.Kind.Version
	})
}
