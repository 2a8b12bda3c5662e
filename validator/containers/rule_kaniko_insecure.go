package containers

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoInsecureRule = &rule.Rule{
	ID:       "kaniko-insecure",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds steps that tell Kaniko not to verify registries: --insecure, --insecure-pull,
--skip-tls-verify and --skip-tls-verify-pull, for all of them, and --insecure-registry
and --skip-tls-verify-registry, for one.

Whoever stands between the node and the registry can then read the password and
change what is pulled. Mount the certificate of the registry's authority, from a
ConfigMap as a workspace, and write
--registry-certificate=registry.example.com=/workspace/ca/ca.crt. Or let the mutator's rule
ca-bundle give all builders the certificate: put it into a ConfigMap of the namespace and
name that in mutator.caBundle.configMap. Then leave the flags out. (What
tekgate credentials ca sets up is for Tekton's controller; a step does not see it.)

Looked at are commands, arguments and scripts, with parameters as far as they are
known. A registry on localhost passes, and so does a switch with =false.`,
	Check: checkKanikoInsecure,
}

func checkKanikoInsecure(_ context.Context, p *rule.Pass) {
	const remedy = "so the password and the images lie open to whoever is between: mount its CA and write --registry-certificate=HOST=FILE, " +
		"or set mutator.caBundle (rule ca-bundle), which gives it to all builders"
	for _, step := range executorSteps(p) {
		for _, flag := range step.all("insecure", "insecure-pull", "skip-tls-verify", "skip-tls-verify-pull") {
			if flag.On() {
				p.Report(flag.Path, "with --%s Kaniko verifies no registry at all, %s", flag.Flag.Name, remedy)
			}
		}
		for _, flag := range step.all("insecure-registry", "skip-tls-verify-registry") {
			if flag.Value != "" && !isLoopback(flag.Value) {
				p.Report(flag.Path,
					"with --%s Kaniko does not verify registry %s, %s",
					flag.Flag.Name, flag.Value, remedy)
			}
		}
	}
}

func isLoopback(registry string) bool {
	host, _, _ := strings.Cut(registry, ":")
	return host == "localhost" || host == "127.0.0.1" || strings.HasPrefix(registry, "[::1]")
}
