package expressions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var eventDependentRule = &rule.Rule{
	ID:       "event-dependent",
	Severity: rule.Info,
	Others:   true,
	Kinds:    slices.Concat(kindsWithBindings, rule.TriggerTemplates),
	Doc: `Finds expressions that work for some events and not for others, or that give something else than it seems.
Whether they matter only a run can show, so these are hints.

In CEL:

- ` + "`string(body.id)`" + ` is 1e+06 for a million, and the like for all numbers above: write ` + "`string(int(body.id))`" + `. Only
  ids that forges send as numbers are named, and comparisons with a number of seven digits or more in quotes;
- ` + "`has(body.head_commit) && body.head_commit.id != ''`" + ` fails where head_commit is null, since has() is true of
  null: add ` + "`&& body.head_commit != null`" + `. Only what forges are known to send as null is named;
- parts that always fail, or find nothing, of expressions that other parts decide for some events (see invalid-cel), as in
  ` + "`'X-GitHub-Event' in header || header.match('X-GitHub-Event', 'push')`" + `. Values whose ` + "`type()`" + ` is asked pass;
- ` + "`'pr-' + body.number`, `body.number.matches('7')` and `size(body.number)`" + ` fail where that is a number, as forges send it:
  write ` + "`string(int(body.number))`" + `. Only fields that are numbers at the forges are named;
- numbers above 9007199254740991, of which Triggers does not hold the last digits.

In bindings:

- ` + "`$(body.commits[*].id)`, `$(..id)`" + ` and others that find several values, and lists and objects of forges'
  payloads such as ` + "`$(body.commits)`" + `: Triggers writes them as JSON, whose quotes break the template (see
  invalid-json-binding);
- what leaves the TriggerTemplate's default unused: a value that is null becomes the text null, an item of a list
  that is null, or a filter without a hit, the text []. These are named only where there is a default;
- ` + "`$(body.labels['example.com/team'])`" + `, since dots in quotes lead to members of members: write
  ` + "`$(body.labels['example\\.com/team'])`" + `;
- ` + "`$()`" + `, which is the empty text.

In a TriggerTemplate: defaults with ` + "`$(`" + `, as in ` + "`$(date)` or `$(context.pipelineRun.name)`" + `. Triggers doubles the
dollar sign of each value that it puts in, and Tekton then takes ` + "`$$(…)`" + ` for text, as it does in texts of an event.

Bindings of payloads whose form nothing is known of pass.`,
	Check: checkEventDependent,
}

func checkEventDependent(ctx context.Context, p *rule.Pass) {
	for _, t := range append(walk.TriggersIn(p), walk.GroupsIn(p)...) {
		hintsOfCEL(p, t)
	}
	for _, bound := range bindingValuesIn(p) {
		value, _ := bound.Value.(string)
		for _, e := range expression.Bound(value) {
			nodes, problem := bindingPath(headerAsWritten(e))
			if !e.Closed || problem != "" {
				continue
			}
			if hint := hintOfPath(e, nodes); hint != "" {
				p.Report(bound.Path, "param %q: %s", bound.Name, hint)
			}
		}
	}
	for _, t := range boundTriggersIn(ctx, p) {
		if t.Template != nil {
			hintsOfBindings(p, t)
		}
	}
	for _, t := range templatesIn(p) {
		hintsOfDefaults(p, t)
	}
}

func hintsOfCEL(p *rule.Pass, t walk.Trigger) {
	for _, in := range walk.InterceptorsIn(t) {
		if in.Kind != "ClusterInterceptor" || in.Name != "cel" {
			continue
		}
		for _, text := range celTextsOf(in) {
			compiled, _ := compileCEL(p, text.Value)
			if compiled == nil {
				continue
			}
			what, path := "the filter", text.Path
			if !text.Filter {
				what, path = "the expression of the overlay", text.Path+".expression"
			}
			p.Step(1 + len(text.Value))
			for _, fault := range few(verdictOf(p, compiled.NativeRep(), text).harmless) {
				p.Report(path, "%s works by its other parts alone: it %s", what, fault)
			}
			for _, hint := range few(celHints(compiled.NativeRep(), mayBeGitee(t))) {
				p.Report(path, "%s %s", what, hint)
			}
		}
	}
}

// otherForges are ClusterInterceptors whose events are not Gitee's.
var otherForges = []string{"bitbucket", "github", "gitlab", "slack"}

// mayBeGitee reports whether a trigger's events may be Gitee's, as far as its interceptors tell.
func mayBeGitee(t walk.Trigger) bool {
	return !slices.ContainsFunc(walk.InterceptorsIn(t), func(in walk.Interceptor) bool {
		provider, named := in.Params["provider"].Value.(string)
		return in.Kind == "ClusterInterceptor" &&
			(slices.Contains(otherForges, in.Name) || in.Name == "tekgate" && named && provider != "gitee")
	})
}

func hintsOfBindings(p *rule.Pass, t boundTrigger) {
	defaults := map[string]bool{}
	for _, declared := range t.Template.params() {
		defaults[declared.Name] = declared.Value != nil
	}
	gitee := mayBeGitee(t.Trigger)
	for _, bound := range t.Bound {
		if hint := hintOfShape(p, t, bound); hint != "" {
			p.Report(bound.valuePath(), "param %q%s: %s", bound.Name, bound.from(), hint)
			continue
		}
		value, _ := bound.Value.(string)
		for _, e := range expression.Bound(value) {
			nodes, problem := bindingPath(headerAsWritten(e))
			if !e.Closed || problem != "" || !defaults[bound.Name] {
				continue
			}
			if hint := hintOfDefault(e, nodes, gitee); hint != "" {
				p.Report(bound.valuePath(), "param %q%s has a default: %s", bound.Name, bound.from(), hint)
			}
		}
	}
}

// hintOfShape is a sentence about a value that breaks the template where it is a list or an
// object, "" where it does not.
func hintOfShape(p *rule.Pass, t boundTrigger, bound boundParam) string {
	value, _ := bound.Value.(string)
	var text, what, remedy string
	for _, e := range expression.Bound(value) {
		nodes, problem := bindingPath(headerAsWritten(e))
		if !e.Closed || problem != "" {
			continue
		}
		of, found, mend := manyShape(nodes)
		if what == "" {
			text, what, remedy = e.Text, found, mend
		}
		value = strings.ReplaceAll(value, e.Text, of.sample())
	}
	broken := func(value string) bool { return t.Template.breaks(p, bound.Name, value) != "" }
	if what == "" || !broken(value) || broken(bound.literal()) { // which is the matter of invalid-json-binding
		return ""
	}
	return fmt.Sprintf("%s is %s, whose quotes Triggers does not escape, so %s makes no JSON of it, and the event is dropped: %s",
		text, what, t.Template.Unit, remedy)
}

func hintsOfDefaults(p *rule.Pass, t paramTemplate) {
	for _, declared := range t.params() {
		value, _ := declared.Value.(string)
		for _, e := range expression.Find(value) {
			if strings.HasPrefix(e.Inner, "tt.params.") { // the matter of stray-template-param
				continue
			}
			p.Report(declared.Path+".default",
				"the default of param %q has %s, and Triggers doubles the dollar sign of each value, so %s comes out: write it into the resource template",
				declared.Name, clipExpression(e.Text), doubled(e))
			break
		}
	}
}

// doubled is what becomes of an expression in a value.
func doubled(e expression.Expression) string {
	if e.Text == "$(uid)" {
		return "a dollar sign and the event's own uid"
	}
	return "$" + clipExpression(e.Text)
}
