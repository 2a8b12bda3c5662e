package versions

import (
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/installer"
	lines "github.com/tekgate/tekgate/internal/release"
)

// due returns the command that upgrades what runs, and the reason; "" if no upgrade is due.
func due(running installer.Versions, now time.Time) (command, reason string) {
	is, err := semver.NewVersion(running.Pipeline)
	if err != nil {
		return "", ""
	}
	newest := lines.Newest()
	l, ok := lines.LineOf(running.Pipeline)
	switch {
	case !is.LessThan(semver.MustParse(newest.Pipeline)):
		return "", ""
	case !ok:
		return "tekgate upgrade --to " + newest.Name, fmt.Sprintf(
			"Tekton Pipelines %s is older than %s, and of no long-term line that this tekgate has", running.Pipeline,
			newest.Pipeline)
	case l.Ended(now):
		return "tekgate upgrade --to " + newest.Name, fmt.Sprintf("the support of %s ended on %s", l.Name, l.EndOfLife)
	case is.LessThan(semver.MustParse(l.Pipeline)):
		return "tekgate upgrade --to " + l.Name, fmt.Sprintf("%s has the newer patch release %s", l.Name, l.Pipeline)
	}
	return "", ""
}
