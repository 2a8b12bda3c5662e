package installer

import (
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/internal/release"
)

// checkPrevious compares a release with what is installed.
func checkPrevious(r Release, facts Facts) []Finding {
	var findings []Finding
	now := r.Versions.byName()
	for _, was := range facts.installed().all() {
		is := now[was.name]
		if facts.Inventory != nil && was.version != "" && is == "" {
			findings = append(findings, removal(was, r, facts))
		}
		before, err1 := semver.NewVersion(was.version)
		after, err2 := semver.NewVersion(is)
		if err1 == nil && err2 == nil && after.LessThan(before) && !facts.Older {
			findings = append(findings, Finding{Category: "release", Fatal: true,
				Sentence: fmt.Sprintf("%s %s is installed, and %s is older", was.name, was.version, is),
				Remedy:   "going back is not tested by Tekton; `tekgate rollback` returns to the release before, and --force installs this one"})
		}
	}
	return findings
}

// removal returns the finding about a part that is installed and not part of the release.
// Its removal is wanted where the user drops it, and where a rollback returns to a release
// without it. Nothing works without Pipelines or Tekgate.
func removal(was named, r Release, facts Facts) Finding {
	required := was.name == Title(release.Pipelines) || was.name == "Tekgate"
	dropped := slices.ContainsFunc(r.Dropped, func(name string) bool { return Title(name) == was.name })
	if !required && (dropped || facts.Older) {
		version := " " + was.version
		if was.version == UnknownVersion {
			version = ""
		}
		return Finding{Category: "release",
			Sentence: fmt.Sprintf("%s%s is installed and not part of this release: it will be removed", was.name, version),
			Remedy:   "its definitions and namespaces stay with the objects in them"}
	}
	return Finding{Category: "release", Fatal: true,
		Sentence: fmt.Sprintf("%s %s is installed, and the manifests hold none: it would be removed", was.name, was.version),
		Remedy:   "name its manifests too, or take everything away with `tekgate uninstall`"}
}
