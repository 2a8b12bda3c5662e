package main

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tekgate/tekgate/internal/release"
)

// TestAssembleComponents assembles each kind of component from a small module.
func TestAssembleComponents(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	module := fstest.MapFS{
		"go.mod":                           file("module x"),
		"release/kustomization.yaml":       file("namespace: ns\nresources: [../config/base]\nlabels:\n- includeSelectors: true\n  pairs:\n    v: devel"),
		"config/base/kustomization.yaml":   file("resources: [config-info.yaml]\n"),
		"config/base/config-info.yaml":     file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: info}\ndata:\n  version: devel\n"),
		"config/kustomization.yaml":        file("resources: [d.yaml]\nnamespace: tekton-dashboard\nimages:\n- {name: i, newName: 'ko://github.com/tektoncd/dashboard/cmd/dashboard'}\n"),
		"config/d.yaml":                    file("apiVersion: v1\nkind: Pod\nmetadata: {name: d, labels: {v: devel}}\nspec: {containers: [{name: c, image: i, args: [--read-only=--read-only, --namespaces=--tenant-namespaces]}]}\n"),
		"config/kubernetes/c.yaml":         file("apiVersion: v1\nkind: Pod\nmetadata:\n  name: g\n  labels:\n    pipeline.tekton.dev/release: \"devel\"\n    version: \"devel\"\n"),
		"config/kubernetes/deeper/no.yaml": file("apiVersion: v1\nkind: Pod\nmetadata: {name: no}\n"),
	}
	tests := []struct{ component, want string }{
		{"results", `{"apiVersion":"v1","data":{"version":"V"},"kind":"ConfigMap","metadata":{"labels":{"v":"V"},"name":"info","namespace":"ns"}}`},
		{"dashboard", `"args":["--read-only=true","--namespaces="],"image":"ghcr.io/tektoncd/dashboard/dashboard-9623576a202fe86c8b7d1bc489905f86:V"`},
		{"dashboard", `"labels":{"v":"V"},"name":"d","namespace":"tekton-pipelines"`},
		{"dashboard", `"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"tekton-triggers-aggregate-view"}`},
		{"manual-approval-gate", `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"pipeline.tekton.dev/release":"devel","version":"V"},"name":"g"}}`},
	}
	for _, tt := range tests {
		c, ok := release.FindComponent(tt.component)
		if !ok {
			t.Fatalf("no component %s", tt.component)
		}
		objects, err := assemble(c, module)
		if err != nil {
			t.Errorf("%s: %v", tt.component, err)
			continue
		}
		var all []string
		for _, obj := range objects {
			text, _ := json.Marshal(obj.Object)
			all = append(all, string(text))
		}
		text := strings.Join(all, "\n")
		want := strings.NewReplacer(":V", ":"+c.Version, `"V"`, `"`+c.Version+`"`).Replace(tt.want)
		if !strings.Contains(text, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.component, text, want)
		}
		if strings.Contains(text, `"no"`) {
			t.Errorf("%s: a folder below was read", tt.component)
		}
	}
}
