package containers

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var secretInEnvRule = &rule.Rule{
	ID:       "secret-in-env",
	Severity: rule.Info,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds environment variables that come from a Secret, in steps, sidecars, stepTemplates,
StepActions and podTemplates.

All that a step starts inherits them, and tools print them when they fail; a file of a
workspace only who opens it reads. The Tekton catalog asks for the same
(tektoncd/catlin).`,
	Check: checkSecretInEnv,
}

func checkSecretInEnv(_ context.Context, p *rule.Pass) {
	places := podTemplatesIn(p)
	for _, c := range containersIn(p) {
		places = append(places, c.place)
	}
	var r object.Reader
	const remedy = "which all that it starts inherits and may print: bind the Secret as a workspace and read the file"
	for _, at := range places {
		for i, variable := range r.FieldsList(at.Fields, "env") {
			if r.Fields(r.Fields(variable, "valueFrom"), "secretKeyRef") != nil {
				p.Report(fmt.Sprintf("%s.env[%d]", at.Path, i), "%s has Secret %q in variable %q, %s", at.Unit,
					r.Text(r.Fields(r.Fields(variable, "valueFrom"), "secretKeyRef"), "name"),
					r.Text(variable, "name"), remedy)
			}
		}
		for i, source := range r.FieldsList(at.Fields, "envFrom") {
			if secret := r.Fields(source, "secretRef"); secret != nil {
				p.Report(fmt.Sprintf("%s.envFrom[%d]", at.Path, i),
					"%s has all of Secret %q in its environment, %s",
					at.Unit, r.Text(secret, "name"), remedy)
			}
		}
	}
}
