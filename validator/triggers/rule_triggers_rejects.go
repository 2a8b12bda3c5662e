package triggers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
)

var triggersRejectsRule = &rule.Rule{
	ID:       "triggers-rejects",
	Severity: rule.Error,
	Kinds:    slices.Concat(rule.WithTriggers, rule.TriggerTemplates, rule.Bindings, rule.AnyInterceptor),
	Doc: `Finds EventListeners, Triggers, TriggerTemplates, bindings and interceptors that the webhook of
Tekton Triggers would refuse, with its words and at the field that they are about: the strict decoding,
the defaults and the validation of Triggers v0.37.0 run on them. Names of fields are accepted in any
case, as Triggers accepts them.

What other rules find with a better remedy is left to them: ` + "`legacy-trigger`, `legacy-interceptor`," + `
` + "`null-interceptor`, `undeclared-template-param`, `unterminated-expression` and `duplicate-binding-param`" + `.

` + "`tekgate lint`" + ` asks this rule. At admission Triggers' own webhook judges the same objects next, so the
rule is asked only with ` + "`policy.triggers.validateAll`" + `, for clusters in which Triggers does not run.
With ` + "`tekgate lint --live`, and in `tekgate audit`" + `, findings are warnings where a newer Triggers is installed,
and hints where they are about a field that v0.37.0 does not know.`,
	Check: checkTriggersRejects,
}

func checkTriggersRejects(ctx context.Context, p *rule.Pass) {
	if p.Template != nil || !p.Offline && !rule.PolicyOf[Policy](p).ValidateAll {
		return
	}
	problems := admission.TriggersProblems(ctx, p.Kind, p.Object, p.Raw)
	if len(problems) == 0 {
		return
	}
	var covered []string
	for _, other := range []*rule.Rule{legacyTriggerRule, legacyInterceptorRule, nullInterceptorRule} {
		if other.Handles(p.Kind) {
			covered = append(covered, p.PathsOf(ctx, other)...)
		}
	}
	reported := 0
	for _, problem := range problems {
		if reported == mostProblems {
			return
		}
		if isCovered(problem, covered) {
			continue
		}
		reported++
		finding := p.Report(cmp.Or(problem.Path, "spec"), "Triggers refuses this %s: %s", p.Kind.Kind, problem.Text)
		finding.Key = problem.Unknown
		if newer := p.Newer(); newer != nil {
			byNewer(p, newer, finding, problem)
		}
	}
}

// byNewer corrects a finding where a newer Triggers is installed, whose CRDs keep any field.
func byNewer(p *rule.Pass, newer *rule.Newer, finding *rule.Finding, problem admission.Problem) {
	finding.Message = fmt.Sprintf("Triggers %s would refuse this %s, and %s, which is installed, may not: %s",
		rule.KnownReleases[p.Kind.Group], p.Kind.Kind, newer.Version, problem.Text)
	finding.Severity = rule.Warning
	if problem.Unknown {
		finding.Severity = rule.Info
	}
	if finding.Mode == rule.Enforce {
		finding.Mode = rule.Warn
	}
}

// mostProblems is how many problems of one object are reported.
const mostProblems = 10

// coveredPaths match what rules of another group report, by its path in a binding.
var coveredPaths = lazyregexp.New(`^spec\.params\[\d+\]\.(name|value)$`)

// isCovered reports whether another rule reports a problem with a better remedy.
func isCovered(problem admission.Problem, paths []string) bool {
	verdict := strings.HasPrefix(problem.Text, "invalid value: ") ||
		strings.HasPrefix(problem.Text, "expected exactly one")
	if strings.HasPrefix(problem.Text, "invalid value: undeclared param") ||
		verdict && coveredPaths.MatchString(problem.Path) {
		return true
	}
	return slices.ContainsFunc(paths, func(path string) bool {
		// A binding's name of old has neither ref nor value.
		parent, old := strings.CutSuffix(path, ".name")
		return path == problem.Path || strings.HasPrefix(problem.Path, path+".") ||
			old && problem.Path == parent+".value"
	})
}
