package triggers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var payloadValidationRule = &rule.Rule{
	ID:       "payload-validation",
	Severity: rule.Warning,
	Kinds:    rule.EventListeners,
	Doc: `Finds EventListeners whose annotation tekton.dev/payload-validation is false, unless one of
their interceptors is slack, which needs it: Slack sends no JSON.

What is no JSON then reaches the interceptors and bindings, which answer with errors that
tell little.`,
	Check: checkPayloadValidation,
}

func checkPayloadValidation(_ context.Context, p *rule.Pass) {
	var r object.Reader
	const key = "tekton.dev/payload-validation"
	if r.Text(r.Fields(r.Fields(p.Object, "metadata"), "annotations"), key) != "false" {
		return
	}
	if slices.ContainsFunc(walk.Interceptors(p), func(in walk.Interceptor) bool {
		return coreName(in) == "slack"
	}) {
		return
	}
	p.Report("metadata.annotations["+key+"]",
		"payloads that are no JSON pass unchecked, and fail later where little tells why: remove the annotation unless your sender cannot send JSON")
}
