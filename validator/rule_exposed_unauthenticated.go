package validator

import (
	"context"
	"slices"
)

var exposedUnauthenticatedRule = &Rule{
	ID:       "exposed-unauthenticated",
	Severity: Warning,
	Others:   true,
	Kinds:    eventListeners,
	Doc: `Finds triggers that anybody can start: of an EventListener that is reached from outside,
by a Service of type LoadBalancer or NodePort or by an Ingress, Route or HTTPRoute, and
without any interceptor that refuses strangers.

Whoever finds the address starts the pipeline, with a payload of their own. The
interceptors of a Trigger that triggerRef names are looked at too; those of Triggers that
a selector picks are not. A trigger with a CEL filter is that of exposed-cel-alone.

It is a warning, since a load balancer may be internal; refuse it where yours are not.`,
	Check: checkExposedUnauthenticated,
}

func checkExposedUnauthenticated(ctx context.Context, p *Pass) {
	p.exposedTriggers(ctx, passesAll, func(t trigger, how string) {
		p.Report(t.Path, "%s reaches this EventListener from outside and no interceptor of %s asks for a secret, so anybody can start it: add github, gitlab or tekgate with secretRef", how, t.Unit)
	})
}

var exposedCELAloneRule = &Rule{
	ID:       "exposed-cel-alone",
	Severity: Warning,
	Others:   true,
	Kinds:    eventListeners,
	Doc: `Finds triggers of an EventListener that is reached from outside, see
exposed-unauthenticated, which a CEL expression alone guards, and none with compareSecret.

A filter on headers and payload tells events apart; it keeps nobody away who can write
such a header. ` + "`header.canonical('X-Secret').compareSecret('key', 'secret')`" + ` does.`,
	Check: checkExposedCELAlone,
}

func checkExposedCELAlone(ctx context.Context, p *Pass) {
	p.exposedTriggers(ctx, filters, func(t trigger, how string) {
		p.Report(t.Path, "%s reaches this EventListener from outside and only CEL without compareSecret guards %s, which a stranger's payload passes: compare a secret, or add an interceptor with secretRef", how, t.Unit)
	})
}

// exposedTriggers calls report for each trigger of an EventListener that is reached
// from outside, if its interceptors together tell as much as want about the sender.
func (p *Pass) exposedTriggers(ctx context.Context, want verdict, report func(t trigger, how string)) {
	var weak []trigger
	for _, t := range triggersIn(p) {
		resolved, known := t.resolve(ctx, p)
		if known && strongest(interceptorsIn(resolved)) == want {
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
func strongest(chain []interceptor) verdict {
	best := passesAll
	for _, in := range chain {
		best = max(best, in.authenticates())
	}
	return best
}

var exposedWithoutTLSRule = &Rule{
	ID:       "exposed-without-tls",
	Severity: Warning,
	Kinds:    eventListeners,
	Doc: `Finds EventListeners with a Service of type LoadBalancer or NodePort and without TLS.

Payloads, and with gitlab and other senders the secret token itself, then cross the
network in the clear. TLS is on with the variables TLS_CERT and TLS_KEY of the container,
both from a Secret (docs/eventlisteners.md of Tekton Triggers); an Ingress in front of a
ClusterIP Service is another way. Turn the rule off where the load balancer ends TLS.`,
	Check: checkExposedWithoutTLS,
}

func checkExposedWithoutTLS(_ context.Context, p *Pass) {
	serviceType, path := exposedType(p)
	if serviceType == "" {
		return
	}
	var names []string
	for _, env := range listenerEnv(p) {
		names = append(names, env.Name)
	}
	if slices.Contains(names, "TLS_CERT") && slices.Contains(names, "TLS_KEY") {
		return
	}
	p.Report(path, "a Service of type %s takes events over plain HTTP here, tokens included: give the container TLS_CERT and TLS_KEY from a Secret, or put an Ingress with TLS before a ClusterIP", serviceType)
}
