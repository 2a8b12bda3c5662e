package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
)

// statusOfTaskRuns is the first release that does not read status.taskRuns of PipelineRuns,
// where older ones by default record the tasks of a run (TEP-0100; docs/deprecations.md of
// tektoncd/pipeline).
var statusOfTaskRuns = semver.MustParse("0.45.0")

// notes returns what users should know before the upgrade.
func notes(facts Facts, between []Stop, target Stop, via []string) []string {
	all := []string{inFlight(facts.Running.Pipeline)}
	if len(between) > 0 && len(via) == 0 {
		all = append(all, fmt.Sprintf("Tekton tests an upgrade from the release before only: to stop on the way, pass "+
			"--via %s", strings.ReplaceAll(namesOf(between), ", ", ",")))
	}
	for _, crd := range orphaned(facts.Definitions, target.Objects) {
		all = append(all, fmt.Sprintf("%s has no controller in %s: the objects stay, and are not used any more",
			crd.GetName(), target.Line.Pipeline))
	}
	return append(all, unknownFlags(facts.FeatureFlags, target)...)
}

func inFlight(running string) string {
	from, err := semver.NewVersion(running)
	if err == nil && from.LessThan(statusOfTaskRuns) {
		return fmt.Sprintf("PipelineRuns that %s has started record their tasks where v0.45 and newer do not look: wait "+
			"until they have ended", running)
	}
	return "runs in flight go on: no Pod of a run is restarted, and the new controllers read the same objects"
}

// groups are the API groups of Pipelines and Triggers.
var groups = []string{"tekton.dev", "triggers.tekton.dev", "resolution.tekton.dev"}

// orphaned returns the definitions of Pipelines and Triggers that a release does not have.
func orphaned(definitions, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(definitions), func(crd *unstructured.Unstructured) bool {
		part := crd.GetLabels()["app.kubernetes.io/part-of"]
		ours := (part == "tekton-pipelines" || part == "tekton-triggers") &&
			slices.Contains(groups, manifest.DefinedKind(crd).Group)
		return !ours || slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool {
			return manifest.IsDefinition(o) && o.GetName() == crd.GetName()
		})
	})
}

// unknownFlags names the feature flags of the cluster that the manifests of a release do not list.
func unknownFlags(flags map[string]string, target Stop) []string {
	i := slices.IndexFunc(target.Objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "ConfigMap" && o.GetName() == FeatureFlags
	})
	if i < 0 {
		return nil
	}
	known := installer.ConfigData(target.Objects[i])
	var all []string
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		if _, ok := known[key]; !ok && key != "_example" {
			all = append(all, fmt.Sprintf("the manifests of %s have no feature flag %s, which the cluster sets to %q", target.Line.Pipeline,
				key, flags[key]))
		}
	}
	return all
}
