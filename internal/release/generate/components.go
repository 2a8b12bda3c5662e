package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tekgate/tekgate/internal/release"
)

// writeComponent writes the manifest of a component.
func writeComponent(ctx context.Context, folder string, c release.Component, log io.Writer) error {
	module, err := c.Fetch(ctx)
	if err != nil {
		return err
	}
	objects, err := assemble(c, os.DirFS(module.Dir))
	if err != nil {
		return err
	}
	return writePacked(folder, c.Name, c.Version, objects, log)
}

// assemble returns a component's objects as its release process publishes them.
func assemble(c release.Component, module fs.FS) ([]*unstructured.Unstructured, error) {
	if !c.Kustomized {
		return c.Assemble(module, c.Version, c.Repository)
	}
	built, err := kustomize(c, module)
	if err != nil {
		return nil, fmt.Errorf("building %s of %s %s: %w", c.Folder, c.Module, c.Version, err)
	}
	text := c.Substitute(built, c.Version, c.Repository)
	if c.Name == "dashboard" {
		text = dashboard(text)
	}
	return release.Read(bytes.NewReader(text))
}

// kustomize builds the component's folder after the version was filled in, as the release
// processes of Results (release/release.sh) and of the Dashboard (tekton/publish.yaml) do.
func kustomize(c release.Component, module fs.FS) ([]byte, error) {
	files := filesys.MakeFsInMemory()
	err := fs.WalkDir(module, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(file, "/")
		if entry.IsDir() && file != "." && top != "config" && top != c.Folder {
			return fs.SkipDir
		}
		if entry.IsDir() {
			return nil
		}
		text, err := fs.ReadFile(module, file)
		if err != nil {
			return err
		}
		return files.WriteFile("/"+file, version(c, file, text))
	})
	if err != nil {
		return nil, err
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(files, "/"+c.Folder)
	if err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// version fills in the version where the release process of a component does so before it
// calls kustomize: at the end of a line in two files of Results, and everywhere in the
// Dashboard's.
func version(c release.Component, file string, text []byte) []byte {
	switch {
	case c.Name == "dashboard" && path.Dir(file) == "config":
		return bytes.ReplaceAll(text, []byte("devel"), []byte(c.Version))
	case file == "release/kustomization.yaml" || file == "config/base/config-info.yaml":
		return bytes.ReplaceAll(append(text, '\n'), []byte("devel\n"), []byte(c.Version+"\n"))
	}
	return text
}

// dashboardArguments are what the Dashboard's installer (scripts/installer) puts in place of
// its placeholders for release.yaml: read-only, for all namespaces.
var dashboardArguments = strings.NewReplacer(
	"--pipelines-namespace=--pipelines-namespace", "--pipelines-namespace=tekton-pipelines",
	"--triggers-namespace=--triggers-namespace", "--triggers-namespace=tekton-pipelines",
	"--log-level=--log-level", "--log-level=info",
	"--log-format=--log-format", "--log-format=json",
	"--logout-url=--logout-url", "--logout-url=",
	"--read-only=--read-only", "--read-only=true",
	"--default-namespace=--default-namespace", "--default-namespace=",
	"--namespaces=--tenant-namespaces", "--namespaces=",
	"--stream-logs=--stream-logs", "--stream-logs=true",
	"--external-logs=--external-logs", "--external-logs=",
	"namespace: tekton-dashboard", "namespace: tekton-pipelines",
)

// dashboard does what the Dashboard's installer does after kustomize: it fills in the
// arguments, and binds the Dashboard to the roles by which it reads.
func dashboard(text []byte) []byte {
	out := bytes.NewBufferString(dashboardArguments.Replace(string(text)))
	for _, binding := range []struct{ name, role string }{
		{"tekton-dashboard-tenant-view", "tekton-dashboard-tenant-view"},
		{"tekton-dashboard-pipelines-view", "tekton-aggregate-view"},
		{"tekton-dashboard-triggers-view", "tekton-triggers-aggregate-view"},
	} {
		fmt.Fprintf(out, dashboardBinding, binding.name, binding.role)
	}
	return out.Bytes()
}

const dashboardBinding = `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  labels:
    app.kubernetes.io/component: dashboard
    app.kubernetes.io/instance: default
    app.kubernetes.io/part-of: tekton-dashboard
    rbac.dashboard.tekton.dev/subject: tekton-dashboard
  name: %s
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}
subjects:
- {kind: ServiceAccount, name: tekton-dashboard, namespace: tekton-pipelines}
`
