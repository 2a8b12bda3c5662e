package expressions

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unterminatedExpressionRule = &rule.Rule{
	ID:       "unterminated-expression",
	Severity: rule.Error,
	Kinds:    slices.Concat(kindsWithBindings, rule.TriggerTemplates, rule.WithSteps),
	Doc: `Finds expressions whose parenthesis is not closed: any ` + "`$(`" + ` in the value of a binding,
and ` + "`$(tt.params.x`" + ` or ` + "`$(params.x`" + ` in TriggerTemplates, Tasks, Pipelines, StepActions and
runs, where x is a param that is declared there; and Pipelines' own variables, such as
` + "`$(context.taskRun.name`, `$(workspaces.source.path`, `$(results.x.path`, `$(tasks.a.results.b`" + `.
It also finds ` + "`$body.ref)`" + ` in the value of a binding, of which the opening parenthesis is missing.

Nothing replaces such an expression, and it reaches a script, an image reference or a
label as it stands. Tekton's own check of bindings sees it only where another
expression follows (tektoncd/triggers v0.37.0,
pkg/apis/triggers/v1beta1/trigger_binding_validation.go).

A shell's own ` + "`$(command`" + ` passes, and so do descriptions.`,
	Check: checkUnterminatedExpression,
}

func checkUnterminatedExpression(_ context.Context, p *rule.Pass) {
	for _, bound := range bindingValuesIn(p) {
		value, _ := bound.Value.(string)
		rest := withoutExpressions(value)
		if !strings.Contains(rest, "$") {
			rest = "" // nothing that unopened matches
		}
		for _, match := range unopened.FindAllStringSubmatch(rest, -1) {
			p.Report(bound.Path,
				"param %q has %s without its opening parenthesis, so it reaches the template as it stands: write $(%s)",
				bound.Name, clipExpression(match[1]), clipExpression(match[2]))
		}
		for _, e := range expression.Bound(value) {
			if !e.Closed {
				p.Report(bound.Path,
					"param %q has %s without its closing parenthesis, so it reaches the template as it stands: close it",
					bound.Name, clipExpression(e.Text))
			}
		}
	}
	for _, t := range templatesIn(p) {
		reportUnterminated(p, t.texts(), "tt.params", t.declares)
	}
	if p.Kind.Group == rule.TektonGroup {
		texts := specExpressions(p)
		declared := sync.OnceValue(func() map[string]bool { return declaredParams(p.Object["spec"]) })
		reportUnterminated(p, texts, "params", func(name string) bool { return declared()[name] })
		for _, root := range []string{"context", "workspaces", "results", "tasks", "steps"} {
			reportUnterminated(p, texts, root, func(string) bool { return false })
		}
	}
}

// unopened matches an expression of an event of which just the opening parenthesis is missing.
var unopened = lazyregexp.New(`(?:^|[^$])(\$((?:body|header|extensions|context)[.\[][^\s()$]*)\))`)

// withoutExpressions is the value of a binding with a blank in the place of each expression.
func withoutExpressions(value string) string {
	var rest strings.Builder
	at := 0
	for _, e := range expression.Bound(value) {
		rest.WriteString(value[at:e.Start] + " ")
		at = e.End
	}
	return rest.String() + value[at:]
}

// pipelinesVariable matches what Pipelines knows besides params, and no shell does: the rest of
// it would have to be the name of a command.
var pipelinesVariable = lazyregexp.New(`^(?:context\.(?:taskRun|pipelineRun|task|pipeline|pipelineTask)\.[A-Za-z-]+|workspaces\.[\w-]+\.(?:path|bound|claim|volume)|` +
	`results\.[\w-]+\.path|tasks\.[\w-]+\.(?:results\..+|status|reason)|steps\.[\w-]+\.results\..+)$`)

func reportUnterminated(p *rule.Pass, texts []rule.Text, root string, declares func(name string) bool) {
	for _, t := range texts {
		if isProseField(t.Path) || root != "tt.params" && object.InImageVolume(t.Path) {
			continue
		}
		for _, e := range expression.Named(t.Value, root, "inputs."+root) {
			if e.Closed {
				continue
			}
			name := nameBelow(e, root)
			if pipelinesVariable.MatchString(e.Inner) || name != "" && declares(name) {
				p.Report(t.Path, "%s lacks its closing parenthesis, so nothing replaces it: write %s)", e.Text, e.Text)
			}
		}
	}
}

// nameBelow is what an expression refers to below a root, in either form.
func nameBelow(e expression.Expression, root string) string {
	if root == "params" {
		return nameOfParam(e)
	}
	if len(e.Inner) <= len(root)+1 {
		return ""
	}
	return e.Inner[len(root)+1:]
}

// declaredParams returns the names of all params that something declares or gives, at
// any depth of a specification.
func declaredParams(value any) map[string]bool {
	names := map[string]bool{}
	var r object.Reader
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, p := range r.FieldsList(v, "params") {
				names[r.Text(p, "name")] = true
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(value)
	return names
}

// clipExpression shortens a text for a message.
func clipExpression(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return fmt.Sprintf("%s…", string(runes[:most]))
	}
	return text
}
