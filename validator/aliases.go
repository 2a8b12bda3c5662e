package validator

import (
	"github.com/tekgate/tekgate/validator/rule"
)

// What rules are made of, for the packages that use the validator.
type (
	Rule     = rule.Rule
	Pass     = rule.Pass
	Finding  = rule.Finding
	Edit     = rule.Edit
	Severity = rule.Severity
	Mode     = rule.Mode
	Cluster  = rule.Cluster
	Account  = rule.Account
	Access   = rule.Access
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
