package support

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// what a user has: a run that fails, and what nobody else may read.
const userObjects = `apiVersion: v1
kind: Namespace
metadata: {name: ci}
---
apiVersion: v1
kind: Secret
metadata: {name: registry, namespace: ci}
stringData: {password: never-to-be-seen-1}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, namespace: ci}
---
apiVersion: v1
kind: Pod
metadata:
  name: build-pod
  namespace: ci
  annotations: {kubectl.kubernetes.io/last-applied-configuration: never-to-be-seen-2}
spec:
  serviceAccountName: builder
  containers:
  - name: step-build
    image: example.com/build
    env:
    - {name: NPM_TOKEN, value: never-to-be-seen-3}
    - {name: GOPROXY, value: https://goproxy.example.com}
    - {name: REGISTRY_PASSWORD, valueFrom: {secretKeyRef: {name: registry, key: password}}}
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: build, namespace: ci}
spec:
  params:
  - {name: api-key, value: never-to-be-seen-4}
  - {name: revision, value: main}
  taskRef: {name: build}
`

// old is of a kind and in a version that old releases of Tekton have.
const old = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pipelineresources.tekton.dev}
spec:
  group: tekton.dev
  names: {kind: PipelineResource, plural: pipelineresources, singular: pipelineresource}
  scope: Namespaced
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: tekton.dev/v1alpha1
kind: PipelineResource
metadata: {name: source, namespace: ci}
spec: {type: git}
`

func TestSupportBundle(t *testing.T) {
	s := newSite(t)
	s.Install()
	s.Create(userObjects)
	s.Create(old)
	folder := filepath.Join(t.TempDir(), "bundle")
	_, errOut := program.Must(t, append([]string{"support-bundle", "-n", "ci", "-o", folder}, s.Kubeconfig...)...)
	files := readFolder(t, folder)
	for name, parts := range map[string][]string{
		"versions.txt": {"tekgate v", "Kubernetes v1."},
		"check.json":   {`"success": false`, `"id": `},
		"status.json":  {`"v1.15.1"`},
		"cluster/mutatingwebhookconfigurations.yaml":   {"mutate.tekgate.dev", "webhook.pipeline.tekton.dev"},
		"namespaces/tekgate/configmaps.yaml":           {"tekgate-config"},
		"namespaces/tekton-pipelines/deployments.yaml": {"tekton-pipelines-controller"},
		"namespaces/ci/taskruns.yaml":                  {"name: build", "main", hiddenValue},
		"namespaces/ci/pipelineresources.yaml":         {"tekton.dev/v1alpha1", "name: source"},
		"namespaces/ci/pods.yaml": {"goproxy.example.com", "NPM_TOKEN", "secretKeyRef",
			hiddenValue},
	} {
		for _, part := range parts {
			if !strings.Contains(files[name], part) {
				t.Errorf("%s lacks %q:\n%s", name, part, files[name])
			}
		}
	}
	for name, text := range files {
		if strings.Contains(text, "never-to-be-seen") || strings.Contains(text, "managedFields") ||
			strings.Contains(name, "secret") {
			t.Errorf("%s holds what it should not:\n%s", name, text)
		}
	}
	clitest.InOrder(t, errOut, " files are in "+folder, "look through them")

	archive := filepath.Join(t.TempDir(), "mine.tar.gz")
	program.Must(t, append([]string{"support-bundle", "-A", "-o", archive}, s.Kubeconfig...)...)
	if in := readArchive(t, archive); in["mine/namespaces/ci/taskruns.yaml"] != files["namespaces/ci/taskruns.yaml"] ||
		in["mine/versions.txt"] == "" {
		t.Errorf("the archive holds other files: %d and %d", len(in), len(files))
	}
	if _, _, err := program.Run(t, "",
		append([]string{"support-bundle", "-o", archive}, s.Kubeconfig...)...); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an archive that is there was written over: %v", err)
	}
	none := filepath.Join(t.TempDir(), "none")
	if _, _, err := program.Run(t, "",
		append([]string{"support-bundle", "-n", "no-such", "-o", none}, s.Kubeconfig...)...); err == nil ||
		!strings.Contains(err.Error(), "no such namespace") {
		t.Errorf("a namespace that does not exist: %v", err)
	}
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a bundle of nothing was begun: %v", err)
	}
}

func readFolder(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %s", name, info.Mode())
		}
		text, err := os.ReadFile(name)
		relative, _ := filepath.Rel(folder, name)
		files[filepath.ToSlash(relative)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func readArchive(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for reader := tar.NewReader(zip); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

func TestHideValues(t *testing.T) {
	object := map[string]any{"spec": map[string]any{"steps": []any{map[string]any{"env": []any{
		map[string]any{"name": "GITHUB_TOKEN", "value": "a"},
		map[string]any{"name": "awsSecretAccessKey", "value": "b"},
		map[string]any{"name": "MODULE", "value": "c"},
		map[string]any{"name": "password", "value": ""},
		map[string]any{"name": "secretRef", "value": map[string]any{"secretName": "hook"}},
	}}}}}
	hideValues(object)
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		if _, value, found := strings.Cut(line, "value: "); found {
			values = append(values, strings.TrimSpace(value))
		}
	}
	if want := []string{hiddenValue, hiddenValue, "c", `""`}; !slices.Equal(values, want) ||
		!strings.Contains(string(text), "secretName: hook") {
		t.Errorf("got %q in\n%s", values, text)
	}
}
