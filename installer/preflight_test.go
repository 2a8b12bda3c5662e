package installer_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
)

const needs130 = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: c, namespace: tekton-pipelines}
spec: {template: {spec: {containers: [{name: c, env: [{name: KUBERNETES_MIN_VERSION, value: v1.30.0}]}]}}}
`

// deployed returns the controller of Pipelines as an installation has it.
func deployed(version string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apps/v1", "kind": "Deployment"}}
	obj.SetNamespace("tekton-pipelines")
	obj.SetName("tekton-pipelines-controller")
	obj.SetLabels(map[string]string{"pipeline.tekton.dev/release": version})
	return obj
}

func TestPreflight(t *testing.T) {
	nodes := map[string]int{"linux/amd64": 2}
	pipeline := func(version string) installer.Release {
		return installer.Release{Versions: installer.Versions{Pipeline: version, Triggers: "v0.37.0"}}
	}
	had := func(pipeline, triggers string) *installer.Inventory {
		return &installer.Inventory{Versions: installer.Versions{Pipeline: pipeline, Triggers: triggers}}
	}
	tests := []struct {
		name  string
		rel   installer.Release
		facts installer.Facts
		fatal bool
		want  string // "" means that there is nothing to say
	}{
		{"all is well", pipeline("v1.15.1"), installer.Facts{Server: "v1.36.3", Architectures: nodes}, false, ""},
		{
			"a provider's version",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.28.0-gke.100", Architectures: nodes},
			false,
			"",
		},
		{
			"too old by the table",
			pipeline("v0.59.6"),
			installer.Facts{Server: "v1.26.9", Architectures: nodes},
			true,
			"does not start below 1.27.0",
		},
		{
			"too old by the release's own word",
			installer.Release{Objects: parse(t, needs130)},
			installer.Facts{Server: "v1.29.1", Architectures: nodes},
			true,
			"Deployment/tekton-pipelines/c does not start below 1.30.0",
		},
		{
			"too new",
			pipeline("v0.27.3"),
			installer.Facts{Server: "v1.22.0", Architectures: nodes},
			true,
			"install v0.38.4",
		},
		{"just old enough", pipeline("v0.27.3"), installer.Facts{Server: "v1.21.14", Architectures: nodes}, false, ""},
		{
			"never tried",
			pipeline("v0.31.4"),
			installer.Facts{Server: "v1.30.0", Architectures: nodes},
			false,
			"was not tried on it",
		},
		{
			"no version",
			pipeline("v1.15.1"),
			installer.Facts{Server: "master", Architectures: nodes},
			false,
			`calls its version "master"`,
		},
		{
			"no node",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: map[string]int{}},
			false,
			"no node",
		},
		{"nodes that may not be seen", pipeline("v1.15.1"), installer.Facts{Server: "v1.36.3"}, false, ""},
		{
			"Windows beside Linux",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: map[string]int{"linux/arm64": 1, "windows/amd64": 1}},
			false,
			"",
		},
		{
			"Windows alone",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: map[string]int{"windows/amd64": 1}},
			true,
			"no node has an architecture",
		},
		{
			"RISC-V too",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: map[string]int{"linux/amd64": 1, "linux/riscv64": 1}},
			false,
			"not built for nodes of linux/riscv64",
		},
		{
			"going back",
			pipeline("v1.9.6"),
			installer.Facts{Server: "v1.36.3", Architectures: nodes, Inventory: had("v1.15.1", "v0.37.0")},
			true,
			"Tekton Pipelines v1.15.1 is installed, and v1.9.6 is older",
		},
		{
			"going back from what another tool installed",
			pipeline("v1.9.6"),
			installer.Facts{
				Server: "v1.36.3", Architectures: nodes, Live: map[string]*unstructured.Unstructured{
					"controller": deployed("v1.15.1"),
				},
			},
			true,
			"Tekton Pipelines v1.15.1 is installed, and v1.9.6 is older",
		},
		{
			"going on",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: nodes, Inventory: had("v1.9.6", "v0.37.0")},
			false,
			"",
		},
		{
			"without what is there",
			installer.Release{},
			installer.Facts{Server: "v1.36.3", Architectures: nodes, Inventory: had("", "v0.37.0")},
			true,
			"Tekton Triggers v0.37.0 is installed, and the manifests hold none",
		},
		{
			"the operator",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: nodes, Operator: []string{"config"}},
			true,
			"TektonConfig config",
		},
		{
			"denied",
			pipeline("v1.15.1"),
			installer.Facts{Server: "v1.36.3", Architectures: nodes, Denied: []string{"create namespaces"}},
			true,
			"you may not create namespaces",
		},
		{
			"a namespace's reference is nobody's",
			pipeline("v1.15.1"),
			installer.Facts{
				Server:        "v1.36.3",
				Architectures: nodes,
				Live: map[string]*unstructured.Unstructured{
					"w": parse(t, "apiVersion: v1\nkind: W\nmetadata: {name: w, ownerReferences: [{apiVersion: v1, kind: Namespace, name: tekton-pipelines}]}\n")[0],
				},
			},
			false,
			"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			findings := installer.Preflight(tt.rel, tt.facts)
			if tt.want == "" {
				if len(findings) > 0 {
					t.Errorf("found %v", findings)
				}
				return
			}
			if len(findings) != 1 || findings[0].Fatal != tt.fatal ||
				!strings.Contains(findings[0].String(), tt.want) ||
				findings[0].Remedy == "" {
				t.Errorf("found %+v, want %q", findings, tt.want)
			}
		})
	}
}
