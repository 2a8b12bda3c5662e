package installer

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	lines "github.com/tekgate/tekgate/internal/release"
)

// running returns the versions that the inventory records, or those of the Deployments.
func (f Facts) running() Versions {
	if f.Inventory != nil {
		return f.Inventory.Versions
	}
	return f.Running
}

// deployedVersions reads the versions from the Deployments among objects of the cluster, by
// their identity. Definitions and ConfigMaps are no evidence: they stay after an uninstall.
func deployedVersions(objects map[string]*unstructured.Unstructured) Versions {
	var deployments []*unstructured.Unstructured
	for _, id := range slices.Sorted(maps.Keys(objects)) {
		if objects[id].GetKind() == "Deployment" {
			deployments = append(deployments, objects[id])
		}
	}
	return VersionsOf(deployments)
}

// becomes says which versions change from was to is. Components that are new are not reported.
func becomes(was, is Versions) []string {
	var sentences []string
	for _, c := range []struct{ name, was, is string }{
		{"Tekton Pipelines", was.Pipeline, is.Pipeline},
		{"Tekton Triggers", was.Triggers, is.Triggers},
		{"Tekgate", was.Tekgate, is.Tekgate},
	} {
		if c.was == "" || c.is == "" || c.was == c.is {
			continue
		}
		verb := "replaces"
		before, err1 := semver.NewVersion(c.was)
		now, err2 := semver.NewVersion(c.is)
		switch {
		case err1 != nil || err2 != nil:
		case now.GreaterThan(before):
			verb = "upgrades"
		case now.LessThan(before):
			verb = "downgrades"
		}
		sentences = append(sentences, fmt.Sprintf("this %s %s from %s to %s", verb, c.name, c.was, c.is))
	}
	return sentences
}

// LeavesLine returns the name of the line of Pipelines that is installed, such as v1.9, if the
// release is of a newer one; "" otherwise.
func (p *Plan) LeavesLine() string {
	before, err1 := semver.NewVersion(p.from.Pipeline)
	now, err2 := semver.NewVersion(p.Release.Versions.Pipeline)
	if err1 != nil || err2 != nil || !minor(now).GreaterThan(minor(before)) {
		return ""
	}
	return fmt.Sprintf("v%d.%d", before.Major(), before.Minor())
}

// checkLine warns about a release of a line whose support has ended, and about Triggers that
// are older than what is made for this release of Pipelines.
func checkLine(release Release, now time.Time) []Finding {
	line, ok := lines.LineOf(release.Versions.Pipeline)
	if !ok {
		return nil
	}
	var findings []Finding
	if !now.IsZero() && line.Ended(now) {
		findings = append(findings, Finding{
			Category: "release",
			Sentence: fmt.Sprintf("the support of Tekton Pipelines %s ended on %s: it gets no more fixes, also not for "+
				"security", line.Name, line.EndOfLife),
			Remedy: fmt.Sprintf("upgrade with `tekgate upgrade --to %s`", lines.Newest().Name),
		})
	}
	is, err1 := semver.NewVersion(release.Versions.Triggers)
	fits, err2 := semver.NewVersion(line.Triggers)
	if err1 == nil && err2 == nil && minor(is).LessThan(minor(fits)) {
		findings = append(findings, Finding{
			Category: "release",
			Sentence: fmt.Sprintf("Tekton Triggers %s is older than the release that is made for Tekton Pipelines %s",
				release.Versions.Triggers, line.Name),
			Remedy: fmt.Sprintf("install Triggers %s: `--version %s` has both", line.Triggers, line.Name),
		})
	}
	return findings
}

// minor returns a version without its patch.
func minor(v *semver.Version) *semver.Version { return semver.New(v.Major(), v.Minor(), 0, "", "") }

// KubernetesMinimum returns the lowest version of Kubernetes that a release starts on; "" if
// it is not known.
func KubernetesMinimum(release Release) string {
	minimum, _ := minimumOf(release)
	if minimum == nil {
		return ""
	}
	return minimum.String()
}
