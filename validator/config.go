package validator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/containers"
	"github.com/tekgate/tekgate/validator/custom"
	"github.com/tekgate/tekgate/validator/pipelines"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/sources"
	"github.com/tekgate/tekgate/validator/triggers"
)

// Config is the section `validator` of the configuration file.
type Config struct {
	// Rules says what becomes of the findings of a rule, by its id.
	Rules map[string]RuleConfig `json:"rules,omitempty"`
	// Custom are rules of your own, as CEL expressions.
	Custom []custom.Definition `json:"custom,omitempty"`
	// References configures the rules about other objects.
	References References `json:"references"`
	// Exceptions says whether annotations may except objects from rules.
	Exceptions Exceptions `json:"exceptions"`
	// Policy holds the lists and limits that rules hold objects to.
	Policy Policy `json:"policy,omitzero"`
	// Pods says whether the Pods of TaskRuns are judged, by rules about images, rights, volumes
	// and accounts that enforce. Only they have the values of what a resolver fetched.
	Pods bool `json:"pods,omitempty"`
	// UnverifiedCallers says what messages may name to callers that may not be API servers:
	// LearnNamespace, the default, or LearnNothing.
	UnverifiedCallers string `json:"unverifiedCallers,omitempty"`
}

// What callers that may not be API servers learn from messages.
const (
	LearnNamespace = "namespace" // names of the namespace that the request says it is for
	LearnNothing   = "nothing"   // no name that was looked up
)

// RuleConfig configures one rule.
type RuleConfig struct {
	// Mode is what becomes of its findings. Empty means the rule's own default.
	Mode rule.Mode `json:"mode,omitempty"`
	// Namespaces says it for some namespaces; the first that matches counts.
	Namespaces []NamespaceMode `json:"namespaces,omitempty"`
	// Exceptions says whose annotations except objects from the rule: annotation (of
	// whoever writes the object; the default), authorized (of who may do the virtual verb
	// except on the rule) or none.
	Exceptions string `json:"exceptions,omitempty"`
	// Unknown is what becomes of a value that the rule needs and that is not known here:
	// ignore, audit, warn or enforce, see the rule cannot-be-judged.
	Unknown string `json:"unknown,omitempty"`
}

// NamespaceMode is a mode for some namespaces.
type NamespaceMode struct {
	Match []string  `json:"match"` // names, in which * stands for any characters
	Mode  rule.Mode `json:"mode"`
}

// References configures the rules about other objects.
type References struct {
	// Grace is how long an object that was accepted with a warning may wait for
	// what it refers to, before an Event says that it is still not there.
	Grace metav1.Duration `json:"grace"`
}

// Exceptions configures exceptions, see Exception.
type Exceptions struct {
	// Disabled makes the annotations count for nothing.
	Disabled bool `json:"disabled,omitempty"`
	// MaxDays bounds how far away the date of an exception may be. 0 means any.
	MaxDays int `json:"maxDays,omitempty"`
}

// Policy holds the lists and limits of rules, by group; each part is described where
// its group is.
type Policy struct {
	Triggers triggers.Policy           `json:"triggers,omitzero"`
	Graph    pipelines.Policy          `json:"graph,omitzero"`
	Images   containers.ImagePolicy    `json:"images,omitzero"`
	Trust    sources.TrustPolicy       `json:"trust,omitzero"`
	Security containers.SecurityPolicy `json:"security,omitzero"`
	Patches  sources.PatchPolicy       `json:"patches,omitzero"`
}

func (p Policy) validate() error {
	return errors.Join(
		problems.Prefix("triggers.", p.Triggers.Validate()),
		problems.Prefix("graph.", p.Graph.Validate()),
		problems.Prefix("images.", p.Images.Validate()),
		problems.Prefix("trust.", p.Trust.Validate()),
		problems.Prefix("security.", p.Security.Validate()),
		problems.Prefix("patches.", p.Patches.Validate()),
	)
}

// Default returns the configuration that holds where the file says nothing.
func Default() Config {
	return Config{References: References{Grace: metav1.Duration{Duration: 10 * time.Minute}}}
}

// Validate reports all that is wrong, each problem with the path of its field in
// the section.
func (c Config) Validate() error {
	var found []error
	ids := identifiers(c.described())
	for _, id := range slices.Sorted(maps.Keys(c.Rules)) {
		found = append(found, c.Rules[id].validate("rules."+id, id, ids))
	}
	known := slices.Concat(identifiers(Rules), reserved)
	found = append(found, problems.Prefix("custom", custom.Validate(c.Custom, known)))
	if c.References.Grace.Duration < 0 {
		found = append(found, errors.New("references.grace: a time cannot be negative"))
	}
	if c.Exceptions.MaxDays < 0 {
		found = append(found, errors.New("exceptions.maxDays: it cannot be negative: write 0 for any date"))
	}
	if !slices.Contains([]string{"", LearnNamespace, LearnNothing}, c.UnverifiedCallers) {
		found = append(found, fmt.Errorf("unverifiedCallers: %q must be %s or %s", c.UnverifiedCallers, LearnNamespace,
			LearnNothing))
	}
	return errors.Join(append(found, problems.Prefix("policy.", c.Policy.validate()))...)
}

func (c RuleConfig) validate(at, id string, ids []string) error {
	var problems []error
	if !slices.Contains(ids, id) {
		remedy := suggest.DidYouMean(id, ids, "`tekgate lint --rules` lists them")
		problems = append(problems, fmt.Errorf("%s: there is no such rule: %s", at, remedy))
	}
	if c.Mode != "" {
		problems = append(problems, c.Mode.Validate(at+".mode"))
	}
	kinds := []string{"", exceptionsOfAll, exceptionsOfAuthorized, exceptionsOfNobody}
	if !slices.Contains(kinds, c.Exceptions) {
		problems = append(problems, fmt.Errorf("%s.exceptions: %q is not known: write %s", at, c.Exceptions,
			"annotation, authorized or none"))
	}
	if !slices.Contains([]string{"", ignore, string(rule.Audit), string(rule.Warn), string(rule.Enforce)}, c.Unknown) {
		problems = append(problems, fmt.Errorf("%s.unknown: %q is not known: write ignore, audit, warn or enforce",
			at, c.Unknown))
	}
	for i, n := range c.Namespaces {
		problems = append(problems, n.validate(fmt.Sprintf("%s.namespaces[%d]", at, i)))
	}
	return errors.Join(problems...)
}

func (n NamespaceMode) validate(at string) error {
	problems := []error{n.Mode.Validate(at + ".mode")}
	if len(n.Match) == 0 {
		problems = append(problems, fmt.Errorf("%s.match: says nothing: name namespaces", at))
	}
	return errors.Join(append(problems, rule.CheckPatterns(at+".match", n.Match))...)
}

// all returns the policies of all groups, for Pass.Policies.
func (p *Policy) all() []any {
	return []any{&p.Triggers, &p.Graph, &p.Images, &p.Trust, &p.Security, &p.Patches}
}

// mode is what becomes of a rule's findings in a namespace. tekton is the release of
// Tekton Pipelines that is installed, "" where it is not known.
func (c Config) mode(r *rule.Rule, namespace, tekton string) rule.Mode {
	own := c.configured(r, namespace)
	newer := r.Before != "" && isFrom(tekton, r.Before)
	switch {
	case own == rule.Enforce && newer:
		return rule.Warn
	case own != "":
		return own
	case newer, r.Since != "" && isOlder(tekton, r.Since):
		return rule.Off
	}
	return r.DefaultMode()
}

// configured is the mode that the configuration gives a rule in a namespace, or "".
func (c Config) configured(r *rule.Rule, namespace string) rule.Mode {
	own := c.Rules[r.ID]
	for _, n := range own.Namespaces {
		if rule.MatchesAny(n.Match, namespace) {
			return n.Mode
		}
	}
	return own.Mode
}

// exceptionsFrom says whose exceptions from a rule count.
func (c Config) exceptionsFrom(r *rule.Rule) string {
	if own := c.Rules[r.ID].Exceptions; own != "" {
		return own
	}
	return exceptionsOfAll
}

// isOlder tells whether one release is older than another. Nobody knows that of what is
// no release, such as "devel". A server has very few of both, so it parses each once.
func isOlder(release, than string) bool {
	pair := [2]string{release, than}
	if known, ok := older.Load(pair); ok {
		return known.(bool)
	}
	version, err := semver.NewVersion(release)
	is := err == nil && version.LessThan(semver.MustParse(than))
	older.Store(pair, is)
	return is
}

var older sync.Map // of what isOlder has found

// isFrom reports whether a release is known to be the given one or a newer one.
func isFrom(release, from string) bool {
	_, err := semver.NewVersion(release)
	return err == nil && !isOlder(release, from)
}
