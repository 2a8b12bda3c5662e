package config_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/internal/config"
)

const mirrored = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {preset: daocloud}\n"

// TestTektonIsNotForServers holds that the servers' part has no settings of Tekton.
func TestTektonIsNotForServers(t *testing.T) {
	without, err := config.Parse([]byte(mirrored))
	if err != nil {
		t.Fatal(err)
	}
	with, err := config.Parse([]byte(mirrored + "tekton: {featureFlags: {enable-api-fields: alpha}, replicas: 2, networkPolicies: true}\n"))
	if err != nil {
		t.Fatal(err)
	}
	a, errA := without.Servers()
	b, errB := with.Servers()
	if errA != nil || errB != nil || string(a) != string(b) {
		t.Errorf("the servers get\n%s\nerrors %v, %v", b, errA, errB)
	}
}

// TestTektonShape holds what is refused without a release.
func TestTektonShape(t *testing.T) {
	for text, want := range map[string]string{
		"featureFlag: {a: b}":                                    `unknown field "tekton.featureFlag": did you mean "featureFlags"?`,
		"featureFlags: {a: [b]}":                                 "it must be a string, a number, true or false",
		"featureFlags: {a: }":                                    `write "" for an empty one`,
		"featureFlags: {_example: b}":                            "tekton.featureFlags._example: it is documentation",
		"featureFlags: {'a b': c}":                               "tekton.featureFlags.a b: it is not a key of a ConfigMap",
		"configMaps: {tekgate/tekgate-config: {config.yaml: x}}": "tekton.configMaps.tekgate/tekgate-config: it is Tekgate's own",
		"configMaps: {A_b: {a: x}}":                              "it must be the name of a ConfigMap, or NAMESPACE/NAME",
		"replicas: 0":                                            "tekton.replicas: 0 must be at least 1",
		"deployments: {triggers: {replicas: -1}}":                "tekton.deployments.triggers.replicas: -1 must be at least 1",
		"nodeSelector: {'a b': c}":                               `tekton.nodeSelector: "a b" is not a label`,
		"nodeSelector: {a: 'b c'}":                               `tekton.nodeSelector.a: "b c" is not a value of a label`,
		"tolerations: [{operator: Equals}]":                      `tekton.tolerations[0].operator: "Equals" must be Equal or Exists`,
		"tolerations: [{value: x}]":                              "tekton.tolerations[0].key: only operator Exists can do without one",
		"tolerations: [{key: a, efect: x}]":                      `did you mean "effect"?`,
		"resources: {requests: {cpu: 2}, limits: {cpu: 1}}":      "tekton.resources.requests.cpu: 2 is more than the limit, 1",
		"resources: {requests: {cpu: much}}":                     "cpu",
		"priorityClassName: A B":                                 "tekton.priorityClassName",
		"affinity: {podAfinity: {}}":                             `did you mean "podAffinity"?`,
	} {
		t.Run(text, func(t *testing.T) {
			_, err := config.Parse([]byte(mirrored + "tekton:\n  " + text + "\n"))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v lacks %q", err, want)
			}
		})
	}
}
