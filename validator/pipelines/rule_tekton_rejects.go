package pipelines

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/admission"
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
switched on. Each problem is reported at its field. For a field that another version of the API has,
the remedy is the place where this version has it, with a fix where the value can move as it is.

For what a TriggerTemplate is to create nobody does that until an event comes; then the
object is refused, and the sender of the event is told 202. Placeholders are filled with
the parameters' defaults and with samples; only what is refused whichever is put in counts.

Objects of their own are judged by ` + "`tekgate lint`" + `, and at admission, where Tekton's
webhook comes next, only with ` + "`policy.graph.validateAll`" + `. Versions that v1.15.1 does not
serve are passed over. A newer Tekton accepts more: where v1.16.0 or later is installed, admission
does not ask this rule. If the configuration names it nevertheless, it warns and refuses nothing.

` + "`tekgate lint`" + ` goes by v1.15.1. With ` + "`--live`, and in `tekgate audit`" + `, the schemas of a newer Tekton's
CustomResourceDefinitions count beside it: a field that they have passes, one that they keep without knowing it is
a hint, and whatever else only v1.15.1 refuses is a warning. The fields are hints, too, where the schemas cannot
be read.`,
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
	judge := func(fields map[string]any, raw []byte) []admission.Problem {
		problems := tektonProblems(ctx, fields, raw, empty, samples)
		if p.Inlined { // what the run gives and binds is there too
			problems = slices.DeleteFunc(problems, func(problem admission.Problem) bool {
				return strings.HasPrefix(problem.Text, "non-existent variable")
			})
		}
		return problems
	}
	problems := judge(p.Object, p.Raw)
	if newer := p.Newer(); newer != nil {
		checkByNewer(p, newer, problems, judge)
		return
	}
	moved := movedFields(p, problems)
	for i, problem := range problems {
		if i == mostProblems {
			p.Report("spec", "Tekton refuses this %s for %d more reasons, which show once these are mended",
				p.Kind.Kind, len(problems)-i)
			return
		}
		if field, is := moved[problem.Path]; is && problem.Unknown {
			field.report(p)
			continue
		}
		finding := p.Report(cmp.Or(problem.Path, "spec"), "Tekton refuses this %s: %s", p.Kind.Kind, problem.Text)
		finding.Key = problem.Unknown
	}
}

// mostProblems is how many problems of one object are reported.
const mostProblems = 10
