// Package custom turns rules that users write as CEL expressions into rules of the validator.
//
// An expression sees what a ValidatingAdmissionPolicy sees, `object`, and is true of an object
// that is as it should be. So a rule that asks for nothing else can be exported as such a policy,
// with its text unchanged: functions, types and limits are a part of those of Kubernetes 1.34.
// Beside them there is `set`, which looks up other objects, see set.go.
//
// What can be told when the configuration is loaded is an error there: what does not compile,
// costs too much, or asks for what the admission server may not read. An expression that fails
// to be evaluated, because the object lacks a field, finds nothing: a rule with a mistake must
// not stop a cluster. It is reported instead, see Check.
package custom

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

// Definition is a rule as the configuration has it.
type Definition struct {
	// ID is the name of the rule: lower-case words with hyphens.
	ID string `json:"id"`
	// Kinds are those that it judges, such as TaskRun, in every version that is served.
	Kinds []string `json:"kinds"`
	// Severity is error, warning or info; empty means warning.
	Severity rule.Severity `json:"severity,omitempty"`
	// Expression is CEL, and true of an object that is as it should be.
	Expression string `json:"expression"`
	// Message says what is wrong, why it matters and how to mend it.
	Message string `json:"message,omitempty"`
	// MessageExpression is CEL that makes the message of the object; Message is used where it fails.
	MessageExpression string `json:"messageExpression,omitempty"`
	// Path is where the finding is; empty means spec.
	Path string `json:"path,omitempty"`
	// Doc is what `tekgate lint --explain` prints besides.
	Doc string `json:"doc,omitempty"`
	// AtUse says that the TaskRuns of PipelineRuns are judged, too.
	AtUse bool `json:"atUse,omitempty"`
}

// Limits of what a configuration may hold. An object is judged by every rule for its kind, in a
// time that the API server bounds.
const (
	most        = 100
	longest     = 8 << 10 // bytes of an expression
	longestText = 1 << 10 // bytes of a message
)

// identifier also fits the key of an annotation and the name of an object.
var identifier = lazyregexp.New(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// path is a field, or an element of a list.
var path = lazyregexp.New(`^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*|\[[0-9]+\])*$`)

// Validate reports all that is wrong with rules. known are the ids of all other rules.
func Validate(definitions []Definition, known []string) error {
	if len(definitions) > most {
		return fmt.Errorf(
			": there are %d rules, and at most %d are evaluated for each object: join some",
			len(definitions),
			most,
		)
	}
	var found []error
	for i, d := range definitions {
		at := fmt.Sprintf("[%d].", i)
		found = append(found, problems.Prefix(at, d.validate(known)))
		if slices.ContainsFunc(definitions[:i], func(other Definition) bool { return other.ID == d.ID }) {
			found = append(found, fmt.Errorf("%sid: the rule %q is defined twice", at, d.ID))
		}
	}
	return errors.Join(found...)
}

func (d Definition) validate(known []string) error {
	var found []error
	wrong := func(format string, args ...any) { found = append(found, fmt.Errorf(format, args...)) }
	switch {
	case !identifier.MatchString(d.ID) || len(d.ID) > 50:
		wrong(
			"id: %q is not the name of a rule: write up to 50 lower-case letters, digits and hyphens, such as team-label",
			d.ID,
		)
	case slices.Contains(known, d.ID):
		wrong("id: there is a built-in rule %q: choose another name, such as own-%[1]s", d.ID)
	}
	if len(d.Kinds) == 0 {
		wrong("kinds: name the kinds that the rule %s judges, such as TaskRun", d.ID)
	}
	for i, kind := range d.Kinds {
		if len(versionsOf(kind)) == 0 {
			wrong("kinds[%d]: %q is not judged: %s", i, kind,
				suggest.DidYouMean(kind, kinds(), "the kinds are "+strings.Join(kinds(), ", ")))
		}
	}
	if !slices.Contains([]rule.Severity{"", rule.Error, rule.Warning, rule.Info}, d.Severity) {
		wrong("severity: %q is not known: write error, warning or info", string(d.Severity))
	}
	if d.Path != "" && !path.MatchString(d.Path) {
		wrong("path: %q is not the path of a field, such as spec.tasks[0].taskRef", d.Path)
	}
	if d.Message == "" {
		wrong(
			"message: say what is wrong and how to mend it: whoever is refused by the rule %s reads nothing else",
			d.ID,
		)
	}
	if len(d.Message) > longestText || strings.ContainsAny(d.Message, "\n\r") {
		wrong("message: it must be one line of up to %d bytes", longestText)
	}
	if _, err := compile(d); err != nil {
		found = append(found, err)
	}
	return errors.Join(found...)
}

// Rule describes the rule: its Check finds nothing, see Compile.
func (d Definition) Rule() *rule.Rule {
	r := &rule.Rule{ID: d.ID, Severity: d.Severity, Doc: d.doc(), AtUse: d.AtUse, NotInPods: true, Own: true,
		Others: usesSet.MatchString(d.Expression)}
	if r.Severity == "" {
		r.Severity = rule.Warning
	}
	for _, kind := range d.Kinds {
		r.Kinds = append(r.Kinds, versionsOf(kind)...)
	}
	return r
}

// Compile returns the rule.
func (d Definition) Compile() (*rule.Rule, error) {
	programs, err := compile(d)
	if err != nil {
		return nil, err
	}
	r := d.Rule()
	r.Others, r.Check = programs.usesSet, programs.check
	return r, nil
}

// UsesSet reports whether the rule looks up other objects.
func (d Definition) UsesSet() bool {
	programs, err := compile(d)
	return err == nil && programs.usesSet
}

// usesSet also matches a text or a variable of that name, so Compile asks the expression itself.
var usesSet = lazyregexp.New(`\bset\.(?:has|get|names)\b`)

// doc is Markdown, as the built-in rules have it.
func (d Definition) doc() string {
	var text strings.Builder
	fmt.Fprintf(&text, "Finds, by a rule of your configuration: %s.", strings.TrimSuffix(d.Message, "."))
	if d.Doc != "" {
		fmt.Fprintf(&text, "\n\n%s", strings.TrimSpace(d.Doc))
	}
	fmt.Fprintf(&text, "\n\nAn object is as it should be if this CEL expression is true:\n\n    %s",
		strings.ReplaceAll(strings.TrimSpace(d.Expression), "\n", "\n    "))
	return text.String()
}

// versionsOf returns every version of a kind.
func versionsOf(kind string) []schema.GroupVersionKind {
	var found []schema.GroupVersionKind
	for _, k := range rule.Everything {
		if k.Kind == kind {
			found = append(found, k)
		}
	}
	return found
}

// kinds returns the names of all kinds that are judged.
func kinds() []string {
	var names []string
	for _, k := range rule.Everything {
		if !slices.Contains(names, k.Kind) {
			names = append(names, k.Kind)
		}
	}
	return names
}
