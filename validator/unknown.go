package validator

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/rule"
)

// ignore is what RuleConfig.Unknown has in place of a mode.
const ignore = "ignore"

// cannotBeJudgedRule holds how findings of Pass.Cannot are configured. It finds nothing
// itself: the rules that lack a value report it.
var cannotBeJudgedRule = &rule.Rule{
	ID:       rule.CannotBeJudged,
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Says where another rule needs a value that is not known: a param without a value or
default, the result of another task, a variable of the context. The finding names the
field, the expression and the rule.

Where nothing is configured it warns of TaskRuns alone, since they are what runs: Tekton
creates one for each task of a PipelineRun, and rules about images, rights, volumes and
accounts judge those again, with every value that Pipelines, Tasks and PipelineRuns lack.
This rule's mode is that for all rules and kinds; ` + "`validator.rules.RULE.unknown`" + ` (ignore,
audit, warn or enforce) that for a single rule.`,
	Check: func(context.Context, *rule.Pass) {},
}

// judged returns the findings of a rule without those that say what it cannot judge, which
// are taken as the configuration wants them.
func (j *judgement) judged(ctx context.Context, r *rule.Rule, kind schema.GroupVersionKind,
	found []*rule.Finding) []*rule.Finding {
	var known, cannot []*rule.Finding
	mode := j.validator.Config.unknown(r, j.namespace, kind)
	for _, f := range found {
		switch {
		case f.Rule != rule.CannotBeJudged:
			known = append(known, f)
		case mode != rule.Off:
			f.Mode = mode
			cannot = append(cannot, f)
		}
	}
	j.take(ctx, cannotBeJudgedRule, cannot)
	return known
}

// unknown is what becomes of what a rule cannot judge.
func (c Config) unknown(r *rule.Rule, namespace string, kind schema.GroupVersionKind) rule.Mode {
	own := c.Rules[r.ID].Unknown
	_, configured := c.Rules[rule.CannotBeJudged]
	switch {
	case own == ignore:
		return rule.Off
	case own != "":
		return rule.Mode(own)
	case configured:
		return c.mode(cannotBeJudgedRule, namespace, "")
	case cannotBeJudgedRule.DefaultMode() != rule.Off && kind.Kind == "TaskRun":
		return cannotBeJudgedRule.DefaultMode()
	}
	return rule.Off
}
