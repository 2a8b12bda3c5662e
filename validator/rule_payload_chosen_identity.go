package validator

import "context"

var payloadChosenIdentityRule = &Rule{
	ID:       "payload-chosen-identity",
	Severity: Warning,
	Others:   true,
	Kinds:    withTriggers,
	Doc: `Finds triggers whose events choose with what rights something runs: a value from the
event that the TriggerTemplate puts into a namespace, a ServiceAccount, a podTemplate or
the image of a step, directly or through the params of what stands in the template.

Whoever sends an event then picks the ServiceAccount of his choice, or has an image of his
own run with the credentials of the Pod. Write it out in the template, or choose it by a
CEL overlay from a list.

Values without anything from the event pass, and so does the event's id.`,
	Check: checkPayloadChosenIdentity,
}

func checkPayloadChosenIdentity(ctx context.Context, p *Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		for _, flow := range t.flows(useIdentity) {
			for _, bound := range t.Bound {
				if flow.has(bound.Name) && holdsPayload(bound.Value) {
					p.Report(bound.Path, "the event chooses %s of what %s creates, through param %q%s: write it out in the template, or choose it from a list in a CEL overlay",
						flow.Name, t.Template.Unit, bound.Name, bound.from())
				}
			}
		}
	}
}

// flows returns those of the trigger's template that are of a certain use.
func (b boundTrigger) flows(want paramUse) []paramFlow {
	if b.Template == nil {
		return nil
	}
	var found []paramFlow
	for _, resource := range b.Template.resources() {
		for _, f := range flowsIn(resource) {
			if f.Use == want {
				found = append(found, f)
			}
		}
	}
	return found
}

func (f paramFlow) has(name string) bool {
	for _, param := range f.Params {
		if param == name {
			return true
		}
	}
	return false
}
