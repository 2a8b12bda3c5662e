package sources

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/validator/rule"
)

var freezeRule = &rule.Rule{
	ID:       "freeze",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.Runs,
	Doc: `Finds runs that start on a weekday or date of policy.trust.freeze. An exception by annotation
is the way for what cannot wait.

TaskRuns of a PipelineRun pass, so that what has begun may end; and so do runs within a
TriggerTemplate, which start later.`,
	Check: checkFreeze,
}

func checkFreeze(_ context.Context, p *rule.Pass) {
	freeze := rule.PolicyOf[TrustPolicy](p).Freeze
	zone, err := freeze.location()
	if err != nil || p.Template != nil || p.OfPipelineRun() {
		return
	}
	now := p.Now().In(zone)
	day, today := now.Weekday().String(), now.Format(time.DateOnly)
	if slices.ContainsFunc(freeze.Weekdays, func(d string) bool { return strings.EqualFold(d, day) }) {
		p.Report("spec", "no run may start on a %s in this cluster: wait for another day", day)
	}
	for _, text := range freeze.Dates {
		if first, last, err := parseDates(text); err == nil && first <= today && today <= last {
			p.Report("spec", "no run may start in this cluster before %s is over: wait until then", last)
		}
	}
}
