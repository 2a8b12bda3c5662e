package policy

import (
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// dockerConfigKey is an annotation that policies put on the object of a dry run, whose
// metadata Tekton ignores: the steps that docker-config has given its variable, by their
// paths, or withheld.
const (
	dockerConfigKey = "tekgate.dev/policy-docker-config"
	withheld        = "withheld"
)

// resolvedDockerConfig returns the rule docker-config for what a resolver fetches. The run
// is not known then. So one ServiceAccount of the namespace with an identity at a cloud is
// enough to leave the steps alone, as in mutator.pass.identityNearby.
//
// The policy is evaluated once for each ServiceAccount, in any order, and sees one at a
// time. An evaluation for a ServiceAccount without an identity adds the variable and notes
// where. An evaluation for one with an identity removes what was added and leaves a note
// that withholds the rest. So the result depends neither on the order nor on how often
// each is evaluated.
func (c *compiler) resolvedDockerConfig(s scope) *rule {
	r := &rule{id: "docker-config", scope: s, steps: true, resolved: true, parameter: everyAccount()}
	r.variables = []admissionv1.Variable{
		{Name: "builders", Expression: c.builders(s)},
		{Name: "free", Expression: "variables.builders.filter(b, " + c.undecided() + ")"},
		{Name: "noted", Expression: fmt.Sprintf("%[1]s in variables.notes ? variables.notes[%[1]s] : \"\"",
			quote(dockerConfigKey))},
		{Name: "given", Expression: `variables.steps.filter(s, s.path in variables.noted.split(",") && ` +
			`has(s.step.env) && s.step.env.exists(e, e.name == "DOCKER_CONFIG"))`},
	}
	r.ops = fmt.Sprintf(`variables.noted == %s || size(variables.builders) == 0 ? [] : (%s ? (
  variables.given.map(s, %s) + [%s]
) : (size(variables.free) == 0 ? [] :
  variables.free.map(b, %s).flatten() + [%s]
))`, quote(withheld), c.identity(), removeEnv("s", "DOCKER_CONFIG", authFile), annotate(dockerConfigKey, quote(withheld)),
		c.addDockerEnv(), annotate(dockerConfigKey,
			`((variables.noted == "" ? [] : [variables.noted]) + variables.free.map(b, string(b.s.path))).join(",")`))
	return r
}

// removeEnv writes the operation that removes variables from the env of a step, and the env
// with its last one.
func removeEnv(step string, names ...string) string {
	kept := fmt.Sprintf("%s.step.env.filter(e, !(e.name in %s))", step, quotes(names))
	return fmt.Sprintf(`(size(%[1]s) == 0 ? %[2]s : %[3]s)`, kept, remove(step+`.path + "/env"`),
		add(step+`.path + "/env"`, kept))
}
