package version

import (
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/release"
)

// skew returns a sentence for each two parts whose versions do not fit together.
func skew(client string, c *cluster, now time.Time) []string {
	var warnings []string
	seen := map[string]bool{}
	for _, s := range c.Servers {
		if s.Version != client && !seen[s.Version] {
			warnings = append(warnings, clientSkew(client, s))
			seen[s.Version] = true
		}
	}
	if len(c.Servers) == 2 && c.Servers[0].Version != c.Servers[1].Version {
		warnings = append(warnings, fmt.Sprintf("%s is %s and %s is %s: an upgrade has not ended, `tekgate status` shows what it left",
			c.Servers[0].Name, orUnknown(c.Servers[0].Version), c.Servers[1].Name, orUnknown(c.Servers[1].Version)))
	}
	for _, part := range [][3]string{
		{"Tekton Pipelines", c.running.Pipeline, c.recorded.Pipeline},
		{"Tekton Triggers", c.running.Triggers, c.recorded.Triggers},
	} {
		if part[2] != "" && part[1] != part[2] {
			warnings = append(warnings, fmt.Sprintf("%s %s runs, but Tekgate installed %s: something else changed it, and the next install changes it back",
				part[0], part[1], part[2]))
		}
	}
	warnings = append(warnings, tektonSkew(c.running, now)...)
	return append(warnings, kubernetesSkew(c)...)
}

// clientSkew compares the client with one of the servers.
func clientSkew(client string, s server) string {
	ours, err := semver.NewVersion(client)
	theirs, failed := semver.NewVersion(s.Version)
	switch {
	case err != nil || failed != nil:
		return fmt.Sprintf("tekgate is %s and %s is %s: use the client of the servers' release", client, s.Name,
			orUnknown(s.Version))
	case theirs.LessThan(ours):
		return fmt.Sprintf("%s %s is older than tekgate %s: `tekgate upgrade` installs the servers of this release", s.Name,
			s.Version, client)
	}
	return fmt.Sprintf("%s %s is newer than tekgate %s, whose install would downgrade it: use tekgate %[2]s", s.Name,
		s.Version, client)
}

// tektonSkew compares Tekton with the releases that this program has.
func tektonSkew(running installer.Versions, now time.Time) []string {
	is, err := semver.NewVersion(running.Pipeline)
	if err != nil {
		return nil
	}
	newest := release.Newest()
	if is.GreaterThan(semver.MustParse(newest.Pipeline)) {
		return []string{fmt.Sprintf("Tekton Pipelines %s is newer than %s, the newest that this tekgate was tested with: use a newer tekgate",
			running.Pipeline, newest.Pipeline)}
	}
	line, ok := release.LineOf(running.Pipeline)
	switch {
	case !ok:
		return nil
	case line.Ended(now):
		return []string{fmt.Sprintf("the support of Tekton Pipelines %s ended on %s: `tekgate upgrade --to %s` upgrades it",
			line.Name, line.EndOfLife, newest.Name)}
	}
	return triggersSkew(running, line)
}

func triggersSkew(running installer.Versions, line release.Line) []string {
	is, err := semver.NewVersion(running.Triggers)
	if err != nil || !is.LessThan(semver.MustParse(line.Triggers)) {
		return nil
	}
	return []string{fmt.Sprintf("Tekton Triggers %s is older than %s, which is made for Tekton Pipelines %s: `tekgate upgrade --to %[3]s` upgrades it",
		running.Triggers, line.Triggers, line.Name)}
}

// kubernetesSkew returns why the Tekton that runs does not fit the server.
func kubernetesSkew(c *cluster) []string {
	if c.running.Pipeline == "" {
		return nil
	}
	var warnings []string
	running := installer.Release{Objects: c.found, Versions: c.running}
	for _, finding := range installer.CheckKubernetes(running, c.Kubernetes) {
		warnings = append(warnings, finding.Sentence+": "+finding.Remedy)
	}
	return warnings
}

func orUnknown(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return version
}
