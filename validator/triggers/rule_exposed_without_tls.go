package triggers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

var exposedWithoutTLSRule = &rule.Rule{
	ID:       "exposed-without-tls",
	Severity: rule.Warning,
	Kinds:    rule.EventListeners,
	Doc: `Finds EventListeners with a Service of type LoadBalancer or NodePort and without TLS.

Payloads, and with gitlab and other senders the secret token itself, then cross the
network in the clear. TLS is on with the variables TLS_CERT and TLS_KEY of the container,
both from a Secret (docs/eventlisteners.md of Tekton Triggers); an Ingress in front of a
ClusterIP Service is another way. Turn the rule off where the load balancer ends TLS.`,
	Check: checkExposedWithoutTLS,
}

func checkExposedWithoutTLS(_ context.Context, p *rule.Pass) {
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
	p.Report(path,
		"a Service of type %s takes events over plain HTTP here, tokens included: give the container TLS_CERT and TLS_KEY from a Secret, or put an Ingress with TLS before a ClusterIP",
		serviceType)
}
