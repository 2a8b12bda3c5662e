// Package expressions has the rules about $(…) and CEL.
package expressions

import "github.com/tekgate/tekgate/validator/rule"

// Rules are about expressions that are misspelt, never filled in, or filled in where
// this does harm.
var Rules = []*rule.Rule{
	invalidCELRule,
	constantFilterRule,
	invalidJSONPathRule,
	unresolvableBindingRule,
	unsetExtensionRule,
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
	eventDependentRule,
	literalTokenRule,
	literalPasswordRule,
}
