package servers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Configurations returns the webhook configurations of the manifests, with an address
// instead of the Service, and with failurePolicy Fail, so that every failure is seen. The
// API server uses HTTP/1.1 as it does for a Service, because the admission server offers
// nothing else.
func Configurations(address string) ([]*unstructured.Unstructured, error) {
	configurations, err := ours(func(obj *unstructured.Unstructured) bool {
		return strings.HasSuffix(obj.GetKind(), "WebhookConfiguration")
	})
	if err != nil {
		return nil, err
	}
	for _, configuration := range configurations {
		for _, hook := range Hooks(configuration) {
			path, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "path")
			hook["clientConfig"] = map[string]any{"url": "https://" + address + path}
			hook["failurePolicy"] = "Fail"
		}
	}
	return configurations, nil
}

// Hooks returns the webhooks of a configuration. Changes to them change the configuration.
func Hooks(configuration *unstructured.Unstructured) []map[string]any {
	list, _ := configuration.Object["webhooks"].([]any)
	var hooks []map[string]any
	for _, h := range list {
		if hook, ok := h.(map[string]any); ok {
			hooks = append(hooks, hook)
		}
	}
	return hooks
}

// Register creates a configuration, and waits until the admission server has written its
// CA into it.
func Register(ctx context.Context, c client.Client, configuration *unstructured.Unstructured) error {
	if err := c.Create(ctx, configuration); err != nil {
		return fmt.Errorf("creating %s %s: %w", configuration.GetKind(), configuration.GetName(), err)
	}
	trusted := func(ctx context.Context) (bool, error) {
		err := c.Get(ctx, client.ObjectKeyFromObject(configuration), configuration)
		for _, hook := range Hooks(configuration) {
			bundle, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
			if bundle == "" {
				return false, err
			}
		}
		return true, err
	}
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, trusted)
	if err != nil {
		return fmt.Errorf("waiting for the caBundle of %s: %w", configuration.GetName(), err)
	}
	return nil
}
