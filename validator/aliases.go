package validator

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/rule"
)

// The types of rules have aliases here, so that users of the validator need no second import.

type (
	// Rule is a rule.
	Rule = rule.Rule
	// Pass is what a rule knows about the object.
	Pass = rule.Pass
	// Finding is what a rule reports.
	Finding = rule.Finding
	// Edit is an operation of a fix.
	Edit = rule.Edit
	// Severity is the severity of a finding.
	Severity = rule.Severity
	// Mode is the effect of a rule at admission.
	Mode = rule.Mode
	// Cluster is what rules can look up.
	Cluster = rule.Cluster
	// Account is a ServiceAccount.
	Account = rule.Account
	// Access is a permission.
	Access = rule.Access
	// Newer is a release that is newer than what the rules know.
	Newer = rule.Newer
	// Registry is what online rules can look up.
	Registry = rule.Registry
)

// The severities and modes, see rule.Severity and rule.Mode.
const (
	Error   = rule.Error
	Warning = rule.Warning
	Info    = rule.Info

	Enforce = rule.Enforce
	Warn    = rule.Warn
	Audit   = rule.Audit
	Off     = rule.Off
)

// ErrUnknown is rule.ErrUnknown.
var ErrUnknown = rule.ErrUnknown

// APIVersionOf returns the apiVersion to write for a kind of Tekton Pipelines or Triggers, "" for other kinds.
func APIVersionOf(kind string) string {
	for _, served := range rule.ServedKinds {
		if served.Kind == kind {
			return served.GroupVersion().String()
		}
	}
	return ""
}

// VersionsOf returns the versions of a kind of Tekton that the rules know, the one to write first; none for other
// kinds.
func VersionsOf(kind schema.GroupKind) []string {
	var versions []string
	for _, served := range rule.ServedKinds {
		if served.GroupKind() == kind {
			versions = append(versions, served.Version)
		}
	}
	return versions
}

// KnownRelease returns the release of Tekton by whose code the rules judge an API group.
func KnownRelease(group string) string { return rule.KnownReleases[group] }

// IsNewer is rule.IsNewer.
func IsNewer(group, release string) bool { return rule.IsNewer(group, release) }

// The API groups of Tekton Pipelines and Triggers.
const (
	TektonGroup   = rule.TektonGroup
	TriggersGroup = rule.TriggersGroup
)
