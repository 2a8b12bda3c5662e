package validator

// referenceRules are about other objects that Triggers' objects name or need.
var referenceRules = []*Rule{
	danglingReferenceRule,
	interceptorKindRule,
	missingServiceAccountRule,
	listenerDefaultAccountRule,
	accountTooWeakRule,
	accountTooStrongRule,
	missingSecretRule,
	selectorWithoutTriggersRule,
}
