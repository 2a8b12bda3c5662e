package triggers

import "github.com/tekgate/tekgate/validator/rule"

// ReferenceRules are about other objects that Triggers' objects name or need.
var ReferenceRules = []*rule.Rule{
	danglingReferenceRule,
	interceptorKindRule,
	missingServiceAccountRule,
	listenerDefaultAccountRule,
	accountTooWeakRule,
	accountTooStrongRule,
	missingSecretRule,
	selectorWithoutTriggersRule,
}
