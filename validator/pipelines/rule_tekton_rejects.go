package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var tektonRejectsRule = &rule.Rule{
	ID:       "tekton-rejects",
	Severity: rule.Error,
	Since:    "v1.0.0",
	Before:   "v1.16.0",
	Kinds:    slices.Concat(rule.WithSteps, rule.CustomRuns),
	Doc: `Finds Tasks, Pipelines, StepActions and runs that Tekton's own webhook would refuse, with
its words: the validation of Tekton Pipelines v1.15.1 runs on them, with all feature flags
switched on.

For what a TriggerTemplate is to create nobody does that until an event comes; then the
object is refused, and the sender of the event is told 202. Placeholders are filled with
the parameters' defaults and with samples; only what is refused whichever is put in counts.

Objects of their own are judged by ` + "`tekgate lint`" + `, and at admission, where Tekton's
webhook comes next, only with ` + "`policy.graph.validateAll`" + `. Versions that v1.15.1 does not
serve are passed over. A newer Tekton accepts more: where v1.16.0 or later is installed, admission
does not ask this rule. If the configuration names it nevertheless, it warns and refuses nothing.
` + "`tekgate lint`" + ` goes by v1.15.1 always: switch the rule off there for objects of a newer Tekton.`,
	Check: checkTektonRejects,
}

func checkTektonRejects(ctx context.Context, p *rule.Pass) {
	if p.Template == nil && !p.Offline && !rule.PolicyOf[Policy](p).ValidateAll {
		return
	}
	empty, known := tektonTypes[p.Kind]
	if !known {
		return
	}
	samples := rule.OncePerTemplate(p, "samples", func() []map[string]string { return tektonSamples(p.Template) })
	problems := tektonProblems(ctx, p.Object, empty, samples)
	if len(problems) == 0 {
		return
	}
	more := ""
	if rest := len(problems) - 3; rest > 0 {
		problems, more = problems[:3], fmt.Sprintf("; and %d more", rest)
	}
	p.Report("spec", "Tekton refuses this %s: %s%s", p.Kind.Kind, strings.Join(problems, "; "), more)
}
