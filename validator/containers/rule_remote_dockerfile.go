package containers

import (
	"context"
	"net/url"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var remoteDockerfileRule = &rule.Rule{
	ID:       "remote-dockerfile",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds Dockerfiles that come from an address: a parameter DOCKERFILE, as the tasks for
buildah and Kaniko have it, or Kaniko's --dockerfile, with http:// or https://.

What is built is then not what stands in the commit that the provenance names, and
whoever owns the address runs commands in the build. Conforma refuses it for buildah.`,
	Check: checkRemoteDockerfile,
}

func checkRemoteDockerfile(_ context.Context, p *rule.Pass) {
	const reason = "the Dockerfile comes from %s, so whoever owns that host runs commands in the build, and the commit does not show it: put it beside the source"
	for _, param := range allParams(p) {
		if value, _ := param.Value.(string); strings.EqualFold(param.Name, "dockerfile") && dockerfileIsRemote(value) {
			p.Report(param.Path, reason, dockerfileHost(value))
		}
	}
	for _, step := range executorSteps(p) {
		for _, flag := range step.all("dockerfile") {
			if dockerfileIsRemote(flag.Value) {
				p.Report(flag.Path, reason, dockerfileHost(flag.Value))
			}
		}
	}
}

// dockerfileHost is the host of an address: the rest may hold a password.
func dockerfileHost(address string) string {
	if parsed, err := url.Parse(address); err == nil && parsed.Host != "" {
		return parsed.Host
	}
	return "elsewhere"
}

func dockerfileIsRemote(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}
