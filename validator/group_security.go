package validator

// securityRules are about what steps and their Pods may do.
var securityRules = []*Rule{}

// SecurityPolicy holds the lists and limits of securityRules.
type SecurityPolicy struct{}

func (SecurityPolicy) validate() error { return nil }
