package triggers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorEventTypesRule = &rule.Rule{
	ID:       "interceptor-event-types",
	Severity: rule.Info,
	Kinds:    rule.WithTriggers,
	Doc: `Finds interceptors github, gitlab, bitbucket and tekgate without param eventTypes in a
trigger that has no CEL filter either.

Every kind of event starts the pipeline then, and fails where its binding misses a field. With
Tekton's own interceptors the ping after a hook is made and the deletion of a branch are among
them; Tekgate's stops these.`,
	Check: checkInterceptorEventTypes,
}

func checkInterceptorEventTypes(_ context.Context, p *rule.Pass) {
	for _, t := range chainsIn(p) {
		all := walk.InterceptorsIn(t)
		if slices.ContainsFunc(all, func(in walk.Interceptor) bool {
			return len(celExpressions(in)) > 0 || coreName(in) == ""
		}) {
			continue
		}
		for _, in := range all {
			_, given := in.Params["eventTypes"]
			if name := coreName(in); !given && (name == "tekgate" || slices.Contains(signedInterceptors, name)) {
				too := ", pings included"
				if name == "tekgate" {
					too = ", comments and issues included"
				}
				p.Report(in.Path,
					"interceptor %s passes events of every type to %s%s: name those that it can handle in param eventTypes",
					name, in.Unit, too)
			}
		}
	}
}
