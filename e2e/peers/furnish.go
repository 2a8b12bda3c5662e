package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

// connect returns an administrator's client that is not throttled.
func connect(c *cluster.Cluster) (client.Client, error) {
	config := rest.CopyConfig(c.Config)
	config.QPS = -1
	return client.New(config, client.Options{Scheme: runtime.NewScheme()})
}

// preparation is what all arms find in the cluster: their namespaces, and the
// ServiceAccount that ours gives TaskRuns.
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

// Prepare gives a cluster Tekton's kinds, without the conversion that would ask
// Tekton's webhook, and the namespaces and the ServiceAccount of the benchmarks.
// What is there stays as it is.
func Prepare(ctx context.Context, c *cluster.Cluster) error {
	direct, err := connect(c)
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
	objects, err := read("the preparation", strings.NewReader(preparation))
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
			return nil, errors.Join(fmt.Errorf("the module has no files %s", pattern), err)
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

// install creates what is not there, and returns once all CRDs among it are served.
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
		err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
			err := direct.Get(ctx, client.ObjectKeyFromObject(object), object)
			return established(object), err
		})
		if err != nil {
			return fmt.Errorf("waiting until %s is served: %w", object.GetName(), err)
		}
	}
	return nil
}

// create creates an object, unless it is there. A kind whose CRD has just been
// served may be unknown a moment longer.
func create(ctx context.Context, direct client.Client, object *unstructured.Unstructured) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = direct.Create(ctx, object.DeepCopy())
		if apierrors.IsAlreadyExists(last) {
			last = nil
		}
		return last == nil, nil
	})
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
