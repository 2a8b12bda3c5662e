package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var constantFilterRule = &rule.Rule{
	ID:       "constant-filter",
	Severity: rule.Warning,
	Kinds:    rule.WithTriggers,
	Doc: `Finds cel interceptors without effect: filters whose result is the same for every
event, such as ` + "`true`" + ` or ` + "`body.action == 'opened' || true`" + `, and interceptors that have
neither a filter nor overlays.

A filter that was switched off to try something, and stayed so, runs the pipeline for
every event that anybody sends; one that is false for every event runs it for none.

The filter is evaluated without an event. What needs one passes.`,
	Check: checkConstantFilter,
}

func checkConstantFilter(_ context.Context, p *rule.Pass) {
	for _, in := range celInterceptorsIn(p) {
		texts := celTextsOf(in)
		if len(texts) == 0 && len(in.Params) == 0 {
			p.Report(in.Path,
				"the cel interceptor of %s has neither a filter nor overlays, so every event passes: add a filter, or remove it",
				in.Unit)
		}
		for _, text := range texts {
			if text.Filter {
				checkConstant(p, in, text)
			}
		}
	}
}

func checkConstant(p *rule.Pass, in walk.Interceptor, text celText) {
	ast, _ := compileCEL(p, text.Value)
	value, constant := constantCEL(ast)
	switch {
	case !constant:
	case value == true:
		p.Report(text.Path,
			"the filter is true for every event, so it keeps none from %s: compare the body or header with what you wait for, or remove it",
			in.Unit)
	case value == false:
		p.Report(text.Path,
			"the filter is false for every event, so none reaches %s: compare the body or header with what you wait for",
			in.Unit)
	}
}
