package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var payloadChosenIdentityRule = &rule.Rule{
	ID:       "payload-chosen-identity",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds triggers whose events choose with what rights something runs: a value from the
event that the TriggerTemplate puts into a namespace, a ServiceAccount, a podTemplate or
the image of a step, directly or through the params of what stands in the template.

Whoever sends an event then picks the ServiceAccount of his choice, or has an image of his
own run with the credentials of the Pod. Write it out in the template, or choose it by a
CEL overlay from a list.

Values without anything from the event pass, and so does the event's id.`,
	Check: checkPayloadChosenIdentity,
}

func checkPayloadChosenIdentity(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		for _, flow := range t.flows(p, useIdentity, holdsPayload) {
			p.Report(flow.Bound.Path,
				"the event chooses %s of what %s creates, through param %q%s: write it out in the template, or choose it from a list in a CEL overlay",
				flow.Name, t.Template.Unit, flow.Bound.Name, flow.Bound.from())
		}
	}
}
