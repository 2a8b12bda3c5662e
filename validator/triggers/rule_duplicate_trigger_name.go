package triggers

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var duplicateTriggerNameRule = &rule.Rule{
	ID:       "duplicate-trigger-name",
	Severity: rule.Warning,
	Kinds:    rule.EventListeners,
	Doc: `Finds triggers, and trigger groups, of one EventListener with the same name.

Both run for each event, and the label triggers.tekton.dev/trigger on what they create,
logs and events tell one from the other no more. Mostly it is a copy of which the name was
forgotten.`,
	Check: checkDuplicateTriggerName,
}

func checkDuplicateTriggerName(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, list := range [][]walk.Trigger{walk.TriggersIn(p), walk.GroupsIn(p)} {
		first := map[string]string{}
		for _, t := range list {
			name := r.Text(t.Fields, "name")
			if at, taken := first[name]; taken && name != "" {
				p.Report(t.Path+".name",
					"%s has the name %q too, so nothing tells apart what the two create: give each its own",
					at, name)
				continue
			}
			first[name] = t.Path
		}
	}
}
