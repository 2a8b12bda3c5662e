package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var imageFromParameterRule = &rule.Rule{
	ID:       "image-from-parameter",
	Severity: rule.Info,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds images of which a part is a parameter or a result that is not known from the
object: no list of images, and no scanner, can judge them before they run.

Parameters whose value the run itself gives pass. A default does not count, since
any run may give another value.`,
	Check: checkImageFromParameter,
}

func checkImageFromParameter(_ context.Context, p *rule.Pass) {
	for _, field := range imageFieldsIn(p) {
		filled := field.Value
		if isRun(p) {
			filled = field.filled(p)
		}
		if found := field.open(p, filled); len(found) > 0 {
			p.Report(field.Path,
				"the image depends on %s, so what will run cannot be judged: write the image out, or check the parameter where it is given",
				found[0].Text)
		}
	}
}
