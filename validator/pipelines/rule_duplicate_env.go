package pipelines

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var duplicateEnvRule = &rule.Rule{
	ID:       "duplicate-env",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds an environment variable that a step, sidecar, stepTemplate or StepAction sets twice.

Kubernetes takes the last one. Whoever edits the first wonders why nothing changes.`,
	Check: checkDuplicateEnv,
}

func checkDuplicateEnv(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, s := range specificationsIn(p) {
		places := []namedItem{{Path: s.Path, Fields: s.Fields},
			{Path: s.Path + ".stepTemplate", Fields: r.Fields(s.Fields, "stepTemplate")}}
		for _, list := range []string{"steps", "sidecars"} {
			for i, part := range r.FieldsList(s.Fields, list) {
				places = append(places, namedItem{Path: fmt.Sprintf("%s.%s[%d]", s.Path, list, i), Fields: part})
			}
		}
		for _, place := range places {
			seen := map[string]bool{}
			for _, variable := range itemsIn(place.Fields, place.Path, "env") {
				if seen[variable.Name] {
					p.Report(variable.Path+".name",
						"the environment variable %q is set twice, and only the last one counts: remove the other",
						variable.Name)
				}
				seen[variable.Name] = true
			}
		}
	}
}
