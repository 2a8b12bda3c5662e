// Package upgrade plans the way from the Tekton that a cluster runs to a release line.
//
// A hop in between is planned only where facts of the cluster and of the releases require one:
// the versions in which the cluster stores objects, those that each release defines, and the
// Kubernetes versions that each release starts on.
package upgrade

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/release"
)

// Stop is a line at which an upgrade may stop, with Tekton's objects of this line.
type Stop struct {
	Line    release.Line
	Objects []*unstructured.Unstructured
}

func (s Stop) version() *semver.Version { return semver.MustParse(s.Line.Pipeline) }

// Path is the way to a line.
type Path struct {
	From installer.Versions `json:"from"`
	// Hops are the installs to run, one after the other. The last one is of the target.
	Hops []Hop `json:"hops"`
	// Notes are sentences about what the upgrade changes for users.
	Notes []string `json:"notes,omitempty"`
}

// Hop is one install.
type Hop struct {
	Line     string `json:"line"`
	Pipeline string `json:"pipeline"`
	Triggers string `json:"triggers"`
	// Reasons are sentences that say why this hop is on the way, or why it suffices.
	Reasons []string `json:"reasons"`

	stop Stop
}

// Target returns the line that the hop installs.
func (h Hop) Target() release.Line { return h.stop.Line }

// Find returns the way to the line named to, over those in via, in their order. Without via it
// is the shortest way that each step of the facts allows. stops are all lines.
func Find(facts Facts, stops []Stop, to string, via []string) (*Path, error) {
	stops = slices.Clone(stops)
	slices.SortFunc(stops, func(a, b Stop) int { return a.version().Compare(b.version()) })
	i := slices.IndexFunc(stops, func(s Stop) bool { return s.Line.Name == to })
	if i < 0 {
		return nil, fmt.Errorf("there is no line %s", to)
	}
	target := stops[i]
	from, err := facts.from(target)
	if err != nil {
		return nil, err
	}
	between := slices.DeleteFunc(slices.Clone(stops[:i]), func(s Stop) bool {
		return from != nil && !s.version().GreaterThan(from)
	})
	start := stateOf(facts)
	var hops []Hop
	if len(via) > 0 {
		hops, err = follow(start, between, via, target)
	} else {
		hops, err = search(start, between, target)
	}
	if err != nil {
		return nil, err
	}
	return &Path{From: facts.Running, Hops: hops, Notes: notes(facts, between, target, via)}, nil
}

// from returns the version that runs, nil if it is unknown. It fails where the target is older,
// or nothing is installed.
func (f Facts) from(target Stop) (*semver.Version, error) {
	if f.Running.Pipeline == "" {
		return nil, fmt.Errorf("there is nothing to upgrade, since Tekton Pipelines is not installed: run `tekgate install "+
			"--version %s`", target.Line.Name)
	}
	from, err := semver.NewVersion(f.Running.Pipeline)
	if err != nil {
		return nil, nil //nolint:nilerr // a version that cannot be read is unknown
	}
	if !target.version().LessThan(from) {
		return from, nil
	}
	back := "install the older release with --force, which Tekton does not test"
	if f.Earlier != "" {
		back = fmt.Sprintf("`tekgate rollback` returns to the release before, %s", f.Earlier)
	}
	return nil, fmt.Errorf("this is no upgrade, since Tekton Pipelines %s is installed, and %s of the line %s is older: %s",
		f.Running.Pipeline, target.Line.Pipeline, target.Line.Name, back)
}

// follow returns the hops over the lines that a user names.
func follow(start state, between []Stop, via []string, target Stop) ([]Hop, error) {
	var hops []Hop
	now, after := start, -1
	for _, name := range via {
		i := slices.IndexFunc(between, func(s Stop) bool { return s.Line.Name == name })
		switch {
		case i < 0:
			return nil, fmt.Errorf("--via %s is not between the installed release and %s: choose from %s", name,
				target.Line.Name, namesOf(between))
		case i <= after:
			return nil, fmt.Errorf("--via %s comes after a newer line: name the lines in the order of their versions", name)
		}
		next, problems := now.step(between[i])
		if len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
		hops = append(hops, hop(between[i], "you asked for this stop with --via"))
		now, after = next, i
	}
	if _, problems := now.step(target); len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return append(hops, hop(target, now.suffices(target)...)), nil
}

func namesOf(stops []Stop) string {
	if len(stops) == 0 {
		return "no line, as there is none in between"
	}
	var all []string
	for _, s := range stops {
		all = append(all, s.Line.Name)
	}
	return strings.Join(all, ", ")
}

// search returns the shortest way: of the ways with the same number of hops the one over the
// newest lines.
func search(start state, between []Stop, target Stop) ([]Hop, error) {
	_, problems := start.step(target)
	if len(problems) == 0 {
		return []Hop{hop(target, start.suffices(target)...)}, nil
	}
	var best []Hop
	for i, stop := range slices.Backward(between) {
		next, refused := start.step(stop)
		if len(refused) > 0 {
			continue
		}
		rest, err := search(next, between[i+1:], target)
		if err == nil && (best == nil || len(rest)+1 < len(best)) {
			reason := fmt.Sprintf("needed before %s, since %s", target.Line.Pipeline, strings.Join(problems, "; "))
			best = append([]Hop{hop(stop, reason)}, rest...)
		}
	}
	if best != nil {
		return best, nil
	}
	return nil, fmt.Errorf("no way leads to %s over the lines that are compiled in: %s", target.Line.Name,
		strings.Join(problems, "; "))
}

func hop(s Stop, reasons ...string) Hop {
	return Hop{Line: s.Line.Name, Pipeline: s.Line.Pipeline, Triggers: s.Line.Triggers, Reasons: reasons, stop: s}
}
