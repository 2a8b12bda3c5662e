// Package triggers has the rules about EventListeners, Triggers, templates and
// interceptors, and about what they refer to.
package triggers

import (
	"errors"

	"github.com/tekgate/tekgate/validator/rule"
)

// Rules are about EventListeners, Triggers, bindings, templates and
// interceptors themselves.
var Rules = []*rule.Rule{
	legacyTriggerRule,
	legacyInterceptorRule,
	nullInterceptorRule,
	interceptorParamsRule,
	interceptorParamCaseRule,
	interceptorWithoutSecretRule,
	exposedUnauthenticatedRule,
	exposedCELAloneRule,
	exposedWithoutTLSRule,
	triggerWithoutInterceptorRule,
	interceptorEventTypesRule,
	tokenToAnyHostRule,
	interceptorPlainHTTPRule,
	interceptorCABundleRule,
	interceptorBadCABundleRule,
	interceptorOutsideRule,
	interceptorTargetRule,
	duplicateTriggerNameRule,
	labelSelectorRule,
	namespaceSelectorRule,
	payloadValidationRule,
	templatePrivilegeRule,
	templateKindRule,
	templateNamespaceRule,
	templateWithoutNameRule,
	templateFixedNameRule,
	templateLongNameRule,
	runDefaultAccountRule,
	removedAPIRule,
	deprecatedAPIRule,
	runAccountTooStrongRule,
	roleResourceRule,
	roleWildcardRule,
	triggersRejectsRule,
	unservedAPIRule,
}

// Policy holds the lists of Rules.
type Policy struct {
	// TemplateKinds are the kinds that TriggerTemplates may create, as kind.group
	// (ConfigMap for one of the core), in which * stands for any characters. Empty
	// means TaskRun, PipelineRun and CustomRun of tekton.dev.
	TemplateKinds []string `json:"templateKinds,omitempty"`
	// InterceptorTargets are the Services that interceptors may be, as
	// namespace/name, and the hosts of their URLs, in which * stands for any
	// characters. Empty means any.
	InterceptorTargets []string `json:"interceptorTargets,omitempty"`
	// ValidateAll makes the rules triggers-rejects and unserved-api judge at admission too,
	// where Triggers' own webhook does so anyway. It is of use where Triggers runs in
	// another cluster.
	ValidateAll bool `json:"validateAll,omitempty"`
}

// Validate reports each problem with the path of its field in the policy.
func (p Policy) Validate() error {
	return errors.Join(
		rule.CheckPatterns("templateKinds", p.TemplateKinds),
		rule.CheckPatterns("interceptorTargets", p.InterceptorTargets),
	)
}
