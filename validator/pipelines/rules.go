// Package pipelines has the rules about Tasks, Pipelines and runs, and how they fit together.
package pipelines

import "github.com/tekgate/tekgate/validator/rule"

// Rules are about Tasks, Pipelines and runs, and how they fit together.
//
// Tekton's own webhook refuses a part of what they find, and says so in its own words.
// It does not look into a TriggerTemplate, nor at a folder that nobody has applied yet,
// and it knows no other object.
var Rules = []*rule.Rule{
	missingDefinitionRule,
	renamedReferenceRule,
	undefinedParamRule,
	unusedParamRule,
	extraParamRule,
	missingParamRule,
	paramTypeRule,
	similarParamsRule,
	undeclaredWorkspaceRule,
	unboundWorkspaceRule,
	extraWorkspaceRule,
	optionalWorkspaceRule,
	unknownTaskRunSpecRule,
	matrixParamRule,
	paramValueRule,
	severalClaimsRule,
	misspeltVariableRule,
	undefinedResultRule,
	unknownTaskResultRule,
	undefinedVolumeRule,
	unfitSecretRule,
	pullSecretRule,
	chainsTypeHintsRule,
	unknownTaskRule,
	finallyOrderRule,
	taskCycleRule,
	duplicateNameRule,
	duplicateEnvRule,
	invalidNameRule,
	removedResourcesRule,
	removedConditionsRule,
	tektonRejectsRule,
}

// Policy holds the limits of Rules.
type Policy struct {
	// ValidateAll makes the rule tekton-rejects judge all objects at admission, where
	// Tekton's own webhook does so anyway, and not those in TriggerTemplates alone. It is
	// of use where Tekton runs in another cluster.
	ValidateAll bool `json:"validateAll,omitempty"`
}

// Validate reports each problem with the path of its field in the policy.
func (Policy) Validate() error { return nil }
