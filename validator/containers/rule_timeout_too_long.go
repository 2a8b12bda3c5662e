package containers

import (
	"context"
	"time"

	"github.com/tekgate/tekgate/validator/rule"
)

var timeoutTooLongRule = &rule.Rule{
	ID:       "timeout-too-long",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds timeouts longer than validator.policy.security.limits.timeout, and 0, which means
none: those of runs, of the tasks of a pipeline, in taskRunSpecs and of steps.

An object that gives no timeout passes: Tekton's config-defaults has one for it.`,
	Check: checkTimeoutTooLong,
}

func checkTimeoutTooLong(_ context.Context, p *rule.Pass) {
	most := rule.PolicyOf[SecurityPolicy](p).Limits.Timeout.Duration
	if most == 0 {
		return
	}
	for _, timeout := range timeoutsIn(p) {
		switch {
		case timeout.Value > most:
			p.Report(timeout.Path,
				"a timeout of %s is longer than the %s of validator.policy.security.limits.timeout: write a shorter one",
				durationText(timeout.Value), durationText(most))
		case timeout.Whole && timeout.Value == 0:
			p.Report(timeout.Path,
				"a timeout of 0 is none, and validator.policy.security.limits.timeout allows %s: write one",
				durationText(most))
		}
	}
}

// durationText is a time without its zero parts: 1h, not 1h0m0s.
func durationText(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if len(text) > len(zero) && text[len(text)-len(zero):] == zero {
			text = text[:len(text)-len(zero)+1]
		}
	}
	return text
}
