package validator

// triggerRules are about EventListeners, Triggers, bindings, templates and
// interceptors themselves.
var triggerRules = []*Rule{}

// TriggerPolicy holds the lists of triggerRules.
type TriggerPolicy struct{}

func (TriggerPolicy) validate() error { return nil }
