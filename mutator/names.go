package mutator

import "github.com/tekgate/tekgate/internal/wellknown"

// The names of internal/wellknown, for callers outside this folder that still use these.
const (
	MutateKey = wellknown.MutateKey
	Disabled  = wellknown.Disabled
	SkipKey   = wellknown.SkipRulesKey
	ConfigKey = wellknown.MutatorKey
	ProbeKey  = wellknown.ProbeKey
)
