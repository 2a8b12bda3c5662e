package validator

// patchRules refuse what makes use of published vulnerabilities of Tekton, for those
// who cannot upgrade today.
var patchRules = []*Rule{}

// PatchPolicy holds the lists of patchRules.
type PatchPolicy struct{}

func (PatchPolicy) validate() error { return nil }
