package expressions

import "github.com/tekgate/tekgate/validator/rule"

// expressionRules are about what stands in $(…) and in CEL: what is misspelt, never
// filled in, or filled in where it does harm.
var Rules = []*rule.Rule{
	invalidCELRule,
	constantFilterRule,
	invalidJSONPathRule,
	unresolvableBindingRule,
	unterminatedExpressionRule,
	missingTemplateParamRule,
	undeclaredBindingParamRule,
	duplicateBindingParamRule,
	clashingBindingsRule,
	undeclaredTemplateParamRule,
	misspeltTemplateParamRule,
	strayTemplateParamRule,
	unusedTemplateParamRule,
	duplicateTemplateParamRule,
	scriptInjectionRule,
	scriptInjectionByReferenceRule,
	flagInjectionRule,
	paramInScriptRule,
	payloadChosenIdentityRule,
	payloadChosenDestinationRule,
	invalidJSONDefaultRule,
	invalidJSONBindingRule,
	literalTokenRule,
	literalPasswordRule,
}
