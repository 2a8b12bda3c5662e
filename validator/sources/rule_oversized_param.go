package sources

import (
	"cmp"
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var oversizedParamRule = &rule.Rule{
	ID:       "oversized-param",
	Severity: rule.Warning,
	Kinds:    slices.Concat(rule.Runs, rule.CustomRuns),
	Doc: `Finds a text among the params of a run that no step can be given: Linux takes no argument or
variable of 128 KiB and more (MAX_ARG_STRLEN), and the step ends with "argument list too
long". Besides, the controller copies what a run is given into each TaskRun and Pod, and
all of them must fit into etcd.

policy.patches.maxParamBytes sets another bound.`,
	Check: checkOversizedParam,
}

func checkOversizedParam(_ context.Context, p *rule.Pass) {
	var r object.Reader
	most := cmp.Or(rule.PolicyOf[PatchPolicy](p).MaxParamBytes, 128<<10-1)
	for _, given := range rule.ParamsIn(r.Fields(p.Object, "spec"), "spec") {
		for _, text := range rule.TextsIn(given.Value, given.Path+".value") {
			if len(text.Value) > most {
				p.Report(text.Path,
					"a text of param %.63q has %d bytes, and no step can be given more than %d: pass it in a workspace",
					given.Name, len(text.Value), most)
			}
		}
	}
}
