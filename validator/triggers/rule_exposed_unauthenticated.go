package triggers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var exposedUnauthenticatedRule = &rule.Rule{
	ID:       "exposed-unauthenticated",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.EventListeners,
	Doc: `Finds triggers that anybody can start: of an EventListener that is reached from outside,
by a Service of type LoadBalancer or NodePort or by an Ingress, Route or HTTPRoute, and
without any interceptor that refuses strangers.

Whoever finds the address starts the pipeline, with a payload of their own. The
interceptors of a Trigger that triggerRef names are looked at too; those of Triggers that
a selector picks are not. A trigger with a CEL filter is that of exposed-cel-alone.

It is a warning, since a load balancer may be internal; refuse it where yours are not.`,
	Check: checkExposedUnauthenticated,
}

func checkExposedUnauthenticated(ctx context.Context, p *rule.Pass) {
	exposedTriggers(ctx, p, passesAll, func(t walk.Trigger, how string) {
		p.Report(t.Path,
			"%s reaches this EventListener from outside and no interceptor of %s asks for a secret, so anybody can start it: add github, gitlab or tekgate with secretRef",
			how, t.Unit)
	})
}
