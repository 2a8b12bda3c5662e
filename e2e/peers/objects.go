package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
)

// preparation has the Namespaces of the candidates, and the ServiceAccount that they give
// TaskRuns.
const preparation = `
apiVersion: v1
kind: Namespace
metadata: {name: ci}
---
apiVersion: v1
kind: Namespace
metadata: {name: tekgate}
---
apiVersion: v1
kind: Namespace
metadata: {name: tekton-pipelines}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, namespace: ci}
secrets: [{name: registry}]
`

// Prepare installs Tekton's CRDs, without conversion by Tekton's webhook, and the
// Namespaces and the ServiceAccount of the benchmarks. It changes no existing object.
func Prepare(ctx context.Context, c *cluster.Cluster) error {
	direct, err := kube.Client(c.Config)
	if err != nil {
		return err
	}
	for module, pattern := range map[string]string{
		"github.com/tektoncd/pipeline": "config/300-crds/*.yaml",
		"github.com/tektoncd/triggers": "config/300-*.yaml",
	} {
		if err := cluster.InstallCRDs(ctx, direct, module, pattern); err != nil {
			return err
		}
	}
	objects, err := read("the objects of the benchmarks", strings.NewReader(preparation))
	if err != nil {
		return err
	}
	return install(ctx, direct, objects)
}

func readAll(dir string, patterns ...string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			return nil, errors.Join(fmt.Errorf("no files %s in the module", pattern), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("reading a peer's objects: %w", err)
			}
			more, err := read(filepath.Base(file), strings.NewReader(string(text)))
			if err != nil {
				return nil, err
			}
			objects = append(objects, more...)
		}
	}
	return objects, nil
}

func read(name string, text *strings.Reader) ([]*unstructured.Unstructured, error) {
	objects, err := release.Read(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return objects, nil
}

// install creates objects unless they exist, and waits until all CRDs among them are served.
func install(ctx context.Context, direct client.Client, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if err := create(ctx, direct, object); err != nil {
			return err
		}
	}
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		served := func(ctx context.Context) (bool, error) {
			err := direct.Get(ctx, client.ObjectKeyFromObject(object), object)
			return established(object), err
		}
		err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, served)
		if err != nil {
			return fmt.Errorf("waiting until %s is served: %w", object.GetName(), err)
		}
	}
	return nil
}

// create creates an object unless it exists. It tries again for a while, because a kind
// may be unknown for a moment after its CRD is served.
func create(ctx context.Context, direct client.Client, object *unstructured.Unstructured) error {
	var last error
	created := func(ctx context.Context) (bool, error) {
		last = client.IgnoreAlreadyExists(direct.Create(ctx, object.DeepCopy()))
		return last == nil, nil
	}
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 30*time.Second, true, created)
	if err != nil {
		return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), errors.Join(last, err))
	}
	return nil
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		condition, _ := c.(map[string]any)
		if condition["type"] == "Established" && condition["status"] == "True" {
			return true
		}
	}
	return false
}
