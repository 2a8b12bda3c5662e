package mutator_test

import (
	"testing"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/mutator"
)

// allOn is a configuration in which every rule has something to do.
const allOn = `
mirror:
  rules:
  - {match: docker.io/**, to: "mirror.example.com/hub/{path}"}
  - {match: gcr.io/**, to: "mirror.example.com/gcr/{path}"}
  - {match: ghcr.io/**, to: "mirror.example.com/ghcr/{path}"}
  - {match: quay.io/**, to: "mirror.example.com/quay/{path}"}
  - {match: registry.k8s.io/**, to: "mirror.example.com/k8s/{path}"}
mutator:
  serviceAccount: {name: builder}
  kaniko:
    image: ghcr.io/osscontainertools/kaniko:v1.28.3
    registryMap: {docker.io: mirror.example.com/hub}
    registryMirror: mirror.example.com/hub
    args: [--push-retry=3, --image-download-retry=3, --ignore-path=/product_uuid]
  env:
    set:
    - {variables: [{name: GOPROXY, value: "https://goproxy.example.com"}]}
    - {steps: {images: [docker.io/library/node]}, variables: [{name: NPM_CONFIG_REGISTRY, value: "https://npm.example.com"}]}
  caBundle: {configMap: tekgate-ca, complete: true}
  resources:
    set:
    - {requests: {cpu: 100m, memory: 128Mi}}
  imagePullSecrets: {names: [mirror]}
  podTemplate:
    tolerations: [{key: builds, operator: Exists}]
    nodeSelector: {builds: "true"}
    dnsConfig: {options: [{name: ndots, value: "2"}]}
  imageMirror: {enabled: true}
`

// everything returns the rules with allOn, in a cluster that has what they want.
func everything(t testing.TB) *mutator.Mutator {
	t.Helper()
	config := file{Mutator: mutator.Default()}
	if err := strict.UnmarshalYAML([]byte(allOn), &config); err != nil {
		t.Fatal(err)
	}
	return newMutator(t, "allOn", config, oneAccount)
}
