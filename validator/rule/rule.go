// Package rule defines what a rule is, what it knows while it judges an object, and
// what it reports.
//
// It is what every group of rules needs, and imports none of them.
package rule

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rule is one thing that Tekgate finds fault with.
type Rule struct {
	ID       string                    // as in messages, the configuration and testdata
	Severity Severity                  // how bad a finding is by itself
	Doc      string                    // Markdown for RULES.md: what it finds, why, and what it lets pass
	Kinds    []schema.GroupVersionKind // every served version by name

	// OptIn rules are off unless the configuration switches them on: they hold
	// objects to a policy that only some organizations have.
	OptIn bool
	// Refuses rules enforce though their findings are warnings: the object works,
	// and does what Tekgate is there to keep from happening unnoticed.
	Refuses bool
	// Others says that findings depend on other objects, which may come later.
	// Such rules warn where nothing else is configured.
	Others bool
	// Lenient rules warn where nothing else is configured, though their findings are errors: Tekton
	// accepts the object, and somebody may mean what looks like a mistake.
	Lenient bool
	// Discreet rules name nothing of other objects but through Pass.Similar.
	Discreet bool
	// AtUse rules also judge the TaskRuns that Tekton's controller creates for a
	// PipelineRun, in which every value is final, and the Tasks that a TaskRun names: they
	// are about what runs, with which rights. All other rules judge what an author wrote.
	AtUse bool
	// NotInPods says that a rule that is AtUse does not judge Pods: it is about fields to
	// which Tekton and the cluster add in every Pod.
	NotInPods bool
	// Files rules judge what stands in files, by what stands beside it. Nothing else asks them.
	Files bool
	// Own rules are those of the configuration, see package custom.
	Own bool
	// Online rules ask a registry. Admission never does.
	Online bool
	// Since is the release of Tekton Pipelines, such as v0.46.0, from which on findings
	// are true. Where an older one is installed, admission does not ask the rule unless
	// the configuration names it: what it finds works there still. "" is for all.
	Since string
	// Before is the first release of Tekton Pipelines, such as v1.16.0, about which findings may be
	// wrong, because the rule judges by code of a release before. Where that one or a newer one is
	// installed, admission does not ask the rule unless the configuration names it, and then it
	// warns at most. "" is for rules that do not depend on the release.
	Before string

	// Unserved rules also judge what is meant for Tekton and not served, see IsUnserved: kinds that cannot
	// be listed.
	Unserved bool

	// Check reports all that it finds. An object whose JSON is not of the expected
	// shape it judges as far as it can: Tekton will say the rest.
	Check func(ctx context.Context, p *Pass)
}

// Handles tells whether the rule is for a kind.
func (r *Rule) Handles(kind schema.GroupVersionKind) bool {
	for i := range r.Kinds { // the kind first, since group and version mostly are the same
		if k := &r.Kinds[i]; k.Kind == kind.Kind && k.Version == kind.Version && k.Group == kind.Group {
			return true
		}
	}
	return r.Unserved && IsUnserved(kind)
}

// Severity says how bad a finding is.
type Severity string

// The severities. An error is something that cannot work as it is meant, or that is
// dangerous; a warning works, and has cost others much; a hint is good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Compare is negative if the other severity is less bad, for sorting the worst first.
func (s Severity) Compare(other Severity) int {
	order := []Severity{Error, Warning, Info}
	return slices.Index(order, s) - slices.Index(order, other)
}

// Mode says what becomes of a rule's findings at admission.
type Mode string

// The modes of a rule.
const (
	Enforce Mode = "enforce" // the object is refused
	Warn    Mode = "warn"    // the object is accepted, and its user is warned
	Audit   Mode = "audit"   // the object is accepted, and an Event and the audit log tell of it
	Off     Mode = "off"     // the rule is not asked
)

// UnmarshalJSON takes false for off, since that is what YAML makes of `mode: off`
// without quotes.
func (m *Mode) UnmarshalJSON(raw []byte) error {
	if string(raw) == "false" {
		*m = Off
		return nil
	}
	return json.Unmarshal(raw, (*string)(m))
}

// Validate reports a mode that does not exist. The path is that of its field.
func (m Mode) Validate(path string) error {
	if slices.Contains([]Mode{Enforce, Warn, Audit, Off}, m) {
		return nil
	}
	return fmt.Errorf("%s: %q is not a mode: write enforce, warn, audit or off", path, string(m))
}

// DefaultMode is what holds where nothing is configured.
func (r *Rule) DefaultMode() Mode {
	switch {
	case r.OptIn:
		return Off
	case r.Refuses:
		return Enforce
	case r.Severity == Info:
		return Audit
	case r.Severity == Warning || r.Others || r.Lenient:
		return Warn
	}
	return Enforce
}
