package triggers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var nullInterceptorRule = &rule.Rule{
	ID:       "null-interceptor",
	Severity: rule.Error,
	Kinds:    rule.WithTriggers,
	Doc: `Finds interceptors that are null, or name neither a ref nor a webhook: a dash with
nothing behind it, or a name alone.

Tekton's admission webhook panics on a null one of a Trigger, so that the API server
reports no more than EOF (pkg/apis/triggers/v1beta1/trigger_validation.go of Tekton
Triggers v0.37.0). The inline forms of old releases are those of legacy-trigger.`,
	Check: checkNullInterceptor,
}

func checkNullInterceptor(_ context.Context, p *rule.Pass) {
	for _, in := range walk.Interceptors(p) {
		_, inline := inlineName(in)
		_, mapping := in.Fields["ref"].(map[string]any)
		switch {
		case !mapping && in.Fields["ref"] != nil: // of the wrong type: see triggers-rejects
		case in.Fields == nil:
			p.Report(in.Path,
				"the interceptor of %s is no object, on which Tekton's admission webhook fails: remove the item or give it a ref",
				in.Unit)
		case in.Name == "" && in.Fields["webhook"] == nil && !inline:
			p.Report(in.Path,
				"the interceptor of %s names nothing that is to be asked, so Tekton refuses it: give it ref.name",
				in.Unit)
		}
	}
}
