package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var buildahPrivilegesRule = &rule.Rule{
	ID:       "buildah-privileges",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds parameters that give a build by buildah more rights than it needs:
ADD_CAPABILITIES with a value, and PRIVILEGED_NESTED with true, as the tasks of Konflux
have them. Conforma refuses both.

Commands of the Dockerfile get those rights. A default that is empty or false passes.`,
	Check: checkBuildahPrivileges,
}

func checkBuildahPrivileges(_ context.Context, p *rule.Pass) {
	for _, param := range allParams(p) {
		value, _ := param.Value.(string)
		switch {
		case param.Name == "ADD_CAPABILITIES" && value != "":
			p.Report(param.Path,
				"ADD_CAPABILITIES gives every command of the Dockerfile the capabilities %q: leave it empty",
				value)
		case param.Name == "PRIVILEGED_NESTED" && value == "true":
			p.Report(param.Path,
				"PRIVILEGED_NESTED makes the build privileged, so its Dockerfile has the node: write false")
		}
	}
}
