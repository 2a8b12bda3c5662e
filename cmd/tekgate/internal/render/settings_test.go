package render

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

const mirrored = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: registry.example.com/tekton}\n"

// A rendering has the declared settings of Tekton, and a wrong one ends it.
func TestRenderSettings(t *testing.T) {
	file := clitest.File(t, "tekgate.yaml", mirrored+`
tekton:
  featureFlags: {max-result-size: 8192}
  defaults: {default-service-account: registry.k8s.io}
  deployments:
    tekton-pipelines-controller: {replicas: 7}
    tekton-pipelines-webhook: {replicas: 6}
  networkPolicies: true
`)
	out, errOut := program.Must(t, "render", "--config", file)
	for _, want := range []string{
		"  max-result-size: \"8192\"\n", "  replicas: 7\n", "  minReplicas: 6\n",
		// A setting is not an image of the release.
		"  default-service-account: registry.k8s.io\n",
		"  name: tekton-pipelines-remote-resolvers\n  namespace: tekton-pipelines-resolvers\nspec:\n  ingress:",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the rendering lacks %q", want)
		}
	}
	if strings.Count(out, "\nkind: NetworkPolicy\n") != 7+2 {
		t.Errorf("it has %d NetworkPolicies", strings.Count(out, "\nkind: NetworkPolicy\n"))
	}
	if !strings.Contains(errOut, "note: HorizontalPodAutoscaler/tekton-pipelines/tekton-pipelines-webhook sizes") {
		t.Errorf("it says\n%s", errOut)
	}
	_, _, err := program.Run(t, "", "render", "--config",
		clitest.File(t, "tekgate.yaml", mirrored+"tekton: {featureFlags: {enable-api-field: beta}}\n"))
	if err == nil || !strings.Contains(err.Error(), `did you mean "enable-api-fields"?`) {
		t.Errorf("error %v", err)
	}
}
