package triggers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var exposedCELAloneRule = &rule.Rule{
	ID:       "exposed-cel-alone",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.EventListeners,
	Doc: `Finds triggers of an EventListener that is reached from outside, see
exposed-unauthenticated, which a CEL expression alone guards, and none with compareSecret.

A filter on headers and payload tells events apart; it keeps nobody away who can write
such a header. ` + "`header.canonical('X-Secret').compareSecret('key', 'secret')`" + ` does.`,
	Check: checkExposedCELAlone,
}

func checkExposedCELAlone(ctx context.Context, p *rule.Pass) {
	exposedTriggers(ctx, p, filters, func(t walk.Trigger, how string) {
		p.Report(t.Path,
			"%s reaches this EventListener from outside and only CEL without compareSecret guards %s, which a stranger's payload passes: compare a secret, or add an interceptor with secretRef",
			how, t.Unit)
	})
}

// exposedTriggers calls report for each trigger of an EventListener that is reached
// from outside, if its interceptors together tell as much as want about the sender.
func exposedTriggers(ctx context.Context, p *rule.Pass, want verdict, report func(t walk.Trigger, how string)) {
	var weak []walk.Trigger
	for _, t := range walk.TriggersIn(p) {
		resolved, known := resolve(ctx, p, t)
		if known && strongest(walk.InterceptorsIn(resolved)) == want {
			weak = append(weak, t)
		}
	}
	if len(weak) == 0 {
		return
	}
	if how := exposure(ctx, p); how != "" {
		for _, t := range weak {
			report(t, how)
		}
	}
}

// strongest is what a chain of interceptors tells about the sender.
func strongest(chain []walk.Interceptor) verdict {
	best := passesAll
	for _, in := range chain {
		best = max(best, authenticates(in))
	}
	return best
}
