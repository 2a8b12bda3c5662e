package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// newestNames are the names of the newest line.
var newestNames = []string{"newest", "latest"}

// FindLine returns the line that a user names by its name or by its version of Pipelines, with
// or without v, or by one of newestNames. The error for any other text names the nearest lines
// and the file that Tekton published.
func FindLine(text string) (Line, error) {
	if slices.Contains(newestNames, strings.ToLower(text)) {
		return Newest(), nil
	}
	name := "v" + strings.TrimPrefix(strings.ToLower(text), "v")
	for _, l := range Lines {
		if name == l.Name || name == l.Pipeline {
			return l, nil
		}
	}
	version, err := semver.NewVersion(name)
	if err != nil {
		return Line{}, fmt.Errorf("%q is neither a line nor a version of Tekton Pipelines: pass one of %s, or newest",
			text, names(Lines))
	}
	return Line{}, errors.New(absent(version))
}

// absent says that a version is not compiled in, and what to do.
func absent(version *semver.Version) string {
	var has string
	if l, ok := LineOf("v" + version.String()); ok {
		has = fmt.Sprintf("it has %s of this line: choose that", l.Pipeline)
	} else if near := nearest(version); len(near) == 1 {
		has = "the nearest line that it has is " + names(near) + ": choose that"
	} else {
		has = "the nearest lines that it has are " + names(near) + ": choose one of these"
	}
	return fmt.Sprintf("Tekton Pipelines v%s is not compiled into this tekgate, %s, or pass "+
		"--pipeline-manifest %s and the Triggers release that fits it with --triggers-manifest",
		version, has, PublishedURL("v"+version.String()))
}

// nearest returns the next older and the next newer line.
func nearest(version *semver.Version) []Line {
	newer := -1 // index of the last line that is newer
	for i, l := range Lines {
		if semver.MustParse(l.Pipeline).GreaterThan(version) {
			newer = i
		}
	}
	return Lines[max(newer, 0):min(newer+2, len(Lines))]
}

func names(lines []Line) string {
	var all []string
	for _, l := range lines {
		all = append(all, fmt.Sprintf("%s (%s)", l.Name, l.Pipeline))
	}
	return strings.Join(all, ", ")
}

// LineOf returns the line that a version of Pipelines belongs to.
func LineOf(pipeline string) (Line, bool) {
	v, err := semver.NewVersion(pipeline)
	if err != nil {
		return Line{}, false
	}
	name := fmt.Sprintf("v%d.%d", v.Major(), v.Minor())
	i := slices.IndexFunc(Lines, func(l Line) bool { return l.Name == name })
	if i < 0 {
		return Line{}, false
	}
	return Lines[i], true
}

// PublishedURL returns where Tekton publishes the manifest of a version of Pipelines
// (docs/install.md of tektoncd/pipeline).
func PublishedURL(pipeline string) string {
	return "https://infra.tekton.dev/tekton-releases/pipeline/previous/" + pipeline + "/release.yaml"
}

// Ended reports whether the line's support has ended by a time. Its last day is supported.
func (l Line) Ended(now time.Time) bool {
	return now.UTC().Format(time.DateOnly) > l.EndOfLife
}
