package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoBrokenFlagRule = &rule.Rule{
	ID:       "kaniko-broken-flag",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds flags of Kaniko that do harm: --single-snapshot makes one layer of everything, so
that no later build finds one in the cache; --use-new-run can miss files that a
command has changed.`,
	Check: checkKanikoBrokenFlag,
}

func checkKanikoBrokenFlag(_ context.Context, p *rule.Pass) {
	for _, step := range executorSteps(p) {
		for _, flag := range step.all("single-snapshot", "use-new-run") {
			if flag.On() {
				p.Report(flag.Path, "Kaniko's --%s is better left out: %s", flag.Flag.Name, flag.Flag.Never)
			}
		}
	}
}
