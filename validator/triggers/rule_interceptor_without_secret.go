package triggers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorWithoutSecretRule = &rule.Rule{
	ID:       "interceptor-without-secret",
	Severity: rule.Warning,
	Refuses:  true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds interceptors github, gitlab and bitbucket without param secretRef, and tekgate with
allowInsecure, unless another interceptor of the trigger asks for a secret.

They look as if they verified the signature, and verify nothing without it: whoever
reaches the EventListener starts the pipeline with a payload of their own
(pkg/interceptors/github/github.go of Tekton Triggers v0.37.0). Admission refuses it,
though the finding is a warning: such a trigger works. Where a network keeps strangers
away, switch the rule to warn.

A CEL expression with compareSecret, a webhook and an interceptor of somebody else's
count as asking for a secret.`,
	Check: checkInterceptorWithoutSecret,
}

func checkInterceptorWithoutSecret(_ context.Context, p *rule.Pass) {
	for _, t := range chainsIn(p) {
		all := walk.InterceptorsIn(t)
		if slices.ContainsFunc(all, func(in walk.Interceptor) bool { return authenticates(in) == authenticate }) {
			continue
		}
		for _, in := range all {
			in = modern(in)
			switch name := coreName(in); {
			case slices.Contains(signedInterceptors, name) && !hasSecret(in):
				p.Report(in.Path,
					"interceptor %s has no secretRef, so it verifies no signature and lets anybody's events start %s: give it param secretRef",
					name, in.Unit)
			case name == "tekgate" && in.Params["allowInsecure"].Value == true:
				p.Report(in.Params["allowInsecure"].Path,
					"allowInsecure lets events without a signature start %s, whoever sends them: remove it and give param secretRef",
					in.Unit)
			}
		}
	}
}
