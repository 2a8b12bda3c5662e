package policy

import "github.com/tekgate/tekgate/internal/wellknown"

// The names of internal/wellknown, for callers outside this folder that still use these.
const (
	ConditionName = wellknown.MatchCondition
	Always        = wellknown.Always
	RunsWebhook   = wellknown.MutateRuns
)
