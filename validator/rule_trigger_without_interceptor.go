package validator

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
)

var triggerWithoutInterceptorRule = &Rule{
	ID:       "trigger-without-interceptor",
	Severity: Warning,
	OptIn:    true,
	Kinds:    withTriggers,
	Doc: `Finds triggers without any interceptor, which every event starts. A trigger that is but
a triggerRef is judged where the Trigger is.

It is for houses that want each trigger to say who may start it, whether it is reached
from outside or not.`,
	Check: checkTriggerWithoutInterceptor,
}

func checkTriggerWithoutInterceptor(_ context.Context, p *Pass) {
	var r object.Reader
	for _, t := range triggersIn(p) {
		if r.Text(t.Fields, "triggerRef") == "" && len(interceptorsIn(t)) == 0 {
			p.Report(t.Path, "%s has no interceptor, so every event starts it, whoever sends it: add one that verifies the sender", t.Unit)
		}
	}
}
