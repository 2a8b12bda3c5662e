// Package validator judges an object by a set of rules.
//
// It refuses what Tekton accepts and then fails at in silence. Rules report all
// that they find at once, each finding with the place in the object and a way to
// mend it, and never deny because of what they could not find out: a look-up
// that fails becomes a warning.
//
// What a rule needs to know of the cluster it asks References for, which has to
// read the cluster itself. A cache could lag behind a binding that was created a
// moment ago, and so refuse a right object; and EventListeners are created
// rarely enough for a few reads.
//
// Updates that leave the spec as it is are not judged. Finalizers, labels and
// status must pass even where a binding has been deleted in the meantime, and so
// must every update of an object that is being deleted.
package validator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
)

// References tells which objects exist, in the cluster or in whatever stands
// for it.
type References interface {
	// Names returns the names of all objects of a kind in a namespace, or in
	// the cluster for a kind that has no namespaces; then namespace is "".
	Names(ctx context.Context, kind schema.GroupKind, namespace string) ([]string, error)
}

// Validator judges by Rules as Config wants them.
type Validator struct {
	Config     Config
	References References
}

// Finding is one thing that is wrong with an object.
type Finding struct {
	Rule    string // id of the rule
	Path    string // where it is, such as "spec.triggers[0].template.ref"
	Message string // one line: what is wrong, why it matters, how to mend it
}

// String returns the finding as one line.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s (rule %s)", f.Path, f.Message, f.Rule)
}

// Outcome is the judgement of one object.
type Outcome struct {
	Denied   []Finding // of rules that are enforced
	Warned   []Finding // of rules that warn
	Warnings []string  // what could not be found out, one line each
}

// Validate judges raw, the JSON of one object, by the rules for kind. The
// namespace is that of the request, since the object need not name its own.
//
// The error says that raw is not a JSON object.
func (v *Validator) Validate(ctx context.Context, kind schema.GroupVersionKind, namespace string, raw []byte) (Outcome, error) {
	fields, err := object.Decode(raw)
	if err != nil {
		return Outcome{}, fmt.Errorf("decoding %s: %w", kind.Kind, err)
	}
	return v.judge(ctx, kind, namespace, fields), nil
}

func (v *Validator) judge(ctx context.Context, kind schema.GroupVersionKind, namespace string, fields map[string]any) Outcome {
	var out Outcome
	in := Input{Object: fields, Namespace: namespace, References: v.References}
	for _, rule := range Rules {
		mode := rule.Mode(v.Config)
		if mode == Off || !slices.Contains(rule.Kinds, kind) {
			continue
		}
		report := rule.Check(ctx, in)
		for i := range report.Findings {
			report.Findings[i].Rule = rule.ID
		}
		if mode == Enforce {
			out.Denied = append(out.Denied, report.Findings...)
		} else {
			out.Warned = append(out.Warned, report.Findings...)
		}
		for _, warning := range report.Warnings {
			out.Warnings = append(out.Warnings, warning+" (rule "+rule.ID+")")
		}
	}
	return out
}

// Matches tells whether any rule is for this kind.
func Matches(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(Rules, func(r Rule) bool { return slices.Contains(r.Kinds, kind) })
}

// denial is what the user of kubectl reads: all findings, one per line.
func denial(kind string, findings []Finding) string {
	var text strings.Builder
	fmt.Fprintf(&text, "this %s would not work:", kind)
	for _, finding := range findings {
		fmt.Fprintf(&text, "\n- %s", finding)
	}
	return text.String()
}
