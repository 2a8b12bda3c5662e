package triggers

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var triggerWithoutInterceptorRule = &rule.Rule{
	ID:       "trigger-without-interceptor",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds triggers without any interceptor, which every event starts. A trigger that is but
a triggerRef is judged where the Trigger is.

It is for houses that want each trigger to say who may start it, whether it is reached
from outside or not.`,
	Check: checkTriggerWithoutInterceptor,
}

func checkTriggerWithoutInterceptor(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, t := range walk.TriggersIn(p) {
		if r.Text(t.Fields, "triggerRef") == "" && len(walk.InterceptorsIn(t)) == 0 {
			p.Report(t.Path,
				"%s has no interceptor, so every event starts it, whoever sends it: add one that verifies the sender",
				t.Unit)
		}
	}
}
