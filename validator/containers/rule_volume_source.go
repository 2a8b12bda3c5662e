package containers

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var volumeSourceRule = &rule.Rule{
	ID:        "volume-source",
	Severity:  rule.Error,
	OptIn:     true,
	Kinds:     rule.WithSteps,
	AtUse:     true,
	NotInPods: true,
	Doc: `Finds workspaces of runs, and volumes of tasks and podTemplates, whose source
validator.policy.security.sources does not allow:

- kinds lists the fields that may stand in a binding or volume, such as emptyDir,
  volumeClaimTemplate, persistentVolumeClaim, configMap, secret, projected or csi;
- secrets, configMaps and claims list the names that may be mounted (* stands for any
  characters).

Who may create a run may mount every Secret and every claim of the namespace, also
those that are not for builds. Each empty list allows all. What an expression names
passes.`,
	Check: checkVolumeSource,
}

func checkVolumeSource(_ context.Context, p *rule.Pass) {
	var r object.Reader
	places := volumesIn(p)
	if isRun(p) {
		places = append(places, within(runOf(p),
			placesIn(r.FieldsList(r.Fields(p.Object, "spec"), "workspaces"), "spec.workspaces", "workspace"))...)
	}
	for _, at := range places {
		if !isBoundClaim(p, at) {
			judgeSource(p, at)
		}
	}
}

// isBoundClaim reports whether Tekton's controller has bound a workspace of a PipelineRun to
// a claim. It may have made the claim by a volumeClaimTemplate, under a name of its own; the
// PipelineRun's bindings were judged with the PipelineRun.
func isBoundClaim(p *rule.Pass, at place) bool {
	return p.Kind.Kind == "TaskRun" && strings.HasPrefix(at.Path, "spec.workspaces") &&
		at.Fields["persistentVolumeClaim"] != nil && p.OfPipelineRun()
}

// volumeSourceKeys are the fields of a volume or binding that are no source.
var volumeSourceKeys = []string{"name", "subPath", "readOnly"}

func judgeSource(p *rule.Pass, at place) {
	var r object.Reader
	policy := rule.PolicyOf[SecurityPolicy](p).Sources
	for _, kind := range slices.Sorted(maps.Keys(at.Fields)) {
		if len(policy.Kinds) > 0 && at.Fields[kind] != nil && !slices.Contains(volumeSourceKeys, kind) &&
			!slices.Contains(policy.Kinds, kind) {
			p.Report(rule.Join(at.Path, kind),
				"%s is of kind %s, which validator.policy.security.sources.kinds does not list: use one of those, or have the list extended",
				at.Unit, kind)
		}
	}
	judgeSourceName(p, at, "secret", "secretName", "secrets", policy.Secrets)
	judgeSourceName(p, at, "configMap", "name", "configMaps", policy.ConfigMaps)
	judgeSourceName(p, at, "persistentVolumeClaim", "claimName", "claims", policy.Claims)
	for _, part := range placesIn(r.FieldsList(r.Fields(at.Fields, "projected"), "sources"),
		at.Path+".projected.sources", "source") {
		part.Unit, part.of = at.Unit, at.of
		judgeSourceName(p, part, "secret", "name", "secrets", policy.Secrets)
		judgeSourceName(p, part, "configMap", "name", "configMaps", policy.ConfigMaps)
	}
}

func judgeSourceName(p *rule.Pass, at place, kind, key, list string, allowed []string) {
	var r object.Reader
	name := r.Text(r.Fields(at.Fields, kind), key)
	if at.of != nil {
		name = fill(p, *at.of, name)
	}
	if len(allowed) > 0 {
		p.Cannot(rule.Join(at.Path, kind), name)
	}
	if len(allowed) > 0 && name != "" && !expression.Any(name) && !rule.MatchesAny(allowed, name) {
		p.Report(rule.Join(at.Path, kind),
			"%s mounts %s %q, which validator.policy.security.sources.%s does not list: use another, or have the list extended",
			at.Unit, kind, name, list)
	}
}
