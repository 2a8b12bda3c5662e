package triggers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var interceptorOutsideRule = &rule.Rule{
	ID:       "interceptor-outside",
	Severity: rule.Warning,
	Kinds:    append(append(rule.AnyInterceptor[:0:0], rule.AnyInterceptor...), rule.WithTriggers...),
	Doc: `Finds interceptors whose URL leads out of the cluster, of a ClusterInterceptor, an
Interceptor or a webhook.

Every event goes there with its headers, the senders' tokens among them, and what comes
back decides what runs, in the clear if it is http. A host counts as one of the cluster's if
it is a single word or has .svc in it.`,
	Check: checkInterceptorOutside,
}

func checkInterceptorOutside(_ context.Context, p *rule.Pass) {
	for _, target := range interceptorTargets(p) {
		if target.service == "" {
			p.Report(target.path,
				"host %q is not in the cluster, so every event leaves it with its headers, tokens included: run the interceptor in the cluster and name its Service",
				target.host)
		}
	}
}
