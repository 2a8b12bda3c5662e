package installer

import (
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"

	lines "github.com/tekgate/tekgate/internal/release"
)

// becomes says which versions change from was to is. Components that are new are not reported.
func becomes(was, is Versions) []string {
	var sentences []string
	versions := is.byName()
	for _, part := range was.all() {
		to := versions[part.name]
		if part.version == "" || to == "" || part.version == to {
			continue
		}
		verb := "replaces"
		before, err1 := semver.NewVersion(part.version)
		now, err2 := semver.NewVersion(to)
		switch {
		case err1 != nil || err2 != nil:
		case now.GreaterThan(before):
			verb = "upgrades"
		case now.LessThan(before):
			verb = "downgrades"
		}
		sentences = append(sentences, fmt.Sprintf("this %s %s from %s to %s", verb, part.name, part.version, to))
	}
	return sentences
}

// LeavesLine returns the name of the line of Pipelines that is installed, such as v1.9, if the
// release is of a newer one; "" otherwise.
func (p *Plan) LeavesLine() string {
	if !older(p.Installed.Pipeline, p.Release.Versions.Pipeline) {
		return ""
	}
	before := semver.MustParse(p.Installed.Pipeline)
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
	if older(release.Versions.Triggers, line.Triggers) {
		findings = append(findings, Finding{
			Category: "release",
			Sentence: fmt.Sprintf("Tekton Triggers %s is older than the release that is made for Tekton Pipelines %s",
				release.Versions.Triggers, line.Name),
			Remedy: fmt.Sprintf("install Triggers %s: `--version %s` has both", line.Triggers, line.Name),
		})
	}
	return findings
}

// KubernetesMinimum returns the lowest version of Kubernetes that a release starts on; "" if
// it is not known.
func KubernetesMinimum(release Release) string {
	minimum, _ := minimumOf(release)
	if minimum == nil {
		return ""
	}
	return minimum.String()
}
