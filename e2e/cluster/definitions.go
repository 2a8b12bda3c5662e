package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// InstallCRDs creates the CustomResourceDefinitions of a module that the product's
// go.mod requires, from the files in its folder that the patterns match, and returns
// once all are established. They are created without their conversion, which would
// ask a webhook that is not there; one that exists is left as it is.
func InstallCRDs(ctx context.Context, c client.Client, module string, patterns ...string) error {
	dir, err := goOutput(ctx, ".", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return fmt.Errorf("finding the module %s: %w", module, err)
	}
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("finding CustomResourceDefinitions: no file of %s matches %s", module, pattern)
		}
		for _, file := range files {
			if err := installCRD(ctx, c, file); err != nil {
				return fmt.Errorf("installing %s: %w", file, err)
			}
		}
	}
	return nil
}

func installCRD(ctx context.Context, c client.Client, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(text, &crd.Object); err != nil {
		return err
	}
	unstructured.RemoveNestedField(crd.Object, "spec", "conversion")
	if err := c.Create(ctx, crd); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	done := func(ctx context.Context) (bool, error) {
		return established(crd), c.Get(ctx, client.ObjectKeyFromObject(crd), crd)
	}
	return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, done)
}

func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	for _, c := range conditions {
		if condition, _ := c.(map[string]any); condition["type"] == "Established" {
			return condition["status"] == "True"
		}
	}
	return false
}
