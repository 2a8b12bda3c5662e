package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var clashingBindingsRule = &rule.Rule{
	ID:       "clashing-bindings",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds params that two bindings of one trigger give a value, at least one of which is an
object of its own; a binding that stands in the list twice clashes with itself.

Triggers takes neither value but stops: "duplicate param name" stands in the log, and
every event is dropped (pkg/template/resource.go of v0.37.0).`,
	Check: checkClashingBindings,
}

func checkClashingBindings(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		for _, twin := range paramTwins(t.Bound) {
			if twin.first.From == "" && twin.second.From == "" || twin.first.Path == twin.second.Path {
				continue // the matter of duplicate-binding-param
			}
			p.Report(twin.second.Path,
				"param %q%s is bound already by %s, so Triggers drops every event for %s: remove one of the two, or give it another name",
				twin.second.Name, twin.second.from(), twin.first.Path, t.Unit)
		}
	}
}
