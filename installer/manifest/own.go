package manifest

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// SetConfig writes the servers' part of the configuration file into Tekgate's
// own ConfigMap.
func SetConfig(objects []*unstructured.Unstructured, text []byte) error {
	for _, obj := range objects {
		if IsTekgateConfig(obj) {
			return unstructured.SetNestedField(obj.Object, string(text), "data", wellknown.ConfigMapKey)
		}
	}
	return fmt.Errorf("ConfigMap %s is not among Tekgate's own objects", wellknown.ConfigMap)
}

// SetWebhookURL makes Tekgate's webhook configurations call a server outside
// the cluster, at scheme, host and port, in place of its Service. The path of
// each stays.
func SetWebhookURL(objects []*unstructured.Unstructured, url string) error {
	for _, obj := range objects {
		if !IsWebhookConfiguration(obj) {
			continue
		}
		webhooks, _, err := unstructured.NestedSlice(obj.Object, "webhooks")
		if err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
		for _, w := range webhooks {
			webhook, _ := w.(map[string]any)
			path, _, err := unstructured.NestedString(webhook, "clientConfig", "service", "path")
			if err != nil {
				return fmt.Errorf("%s: %w", kube.Name(obj), err)
			}
			webhook["clientConfig"] = map[string]any{"url": strings.TrimSuffix(url, "/") + path}
		}
		if err := unstructured.SetNestedSlice(obj.Object, webhooks, "webhooks"); err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
	}
	return nil
}

// SetFailurePolicies gives the webhooks of these names failurePolicy Fail, and all others
// of Tekgate's webhooks Ignore. An annotation of each configuration lists the former, for
// those who compare.
func SetFailurePolicies(objects []*unstructured.Unstructured, failing []string) error {
	for _, obj := range objects {
		if !IsWebhookConfiguration(obj) {
			continue
		}
		webhooks, _, err := unstructured.NestedSlice(obj.Object, "webhooks")
		if err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
		var set []string
		for _, w := range webhooks {
			webhook, _ := w.(map[string]any)
			name, _ := webhook["name"].(string)
			webhook["failurePolicy"] = "Ignore"
			if slices.Contains(failing, name) {
				webhook["failurePolicy"] = "Fail"
				set = append(set, name)
			}
		}
		if err := unstructured.SetNestedSlice(obj.Object, webhooks, "webhooks"); err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
		if len(set) > 0 {
			annotations := obj.GetAnnotations()
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[wellknown.FailKey] = strings.Join(set, ",")
			obj.SetAnnotations(annotations)
		}
	}
	return nil
}

// SetRegistryCA gives Tekton's controllers the certificate authorities of a
// mirror, by its ConfigMap config-registry-cert: they ask registries themselves
// for the entrypoints of images (tektoncd/pipeline#3105), and what the nodes
// trust does not help them. pem is added to what the release has there. A
// release without that ConfigMap stays as it is.
func SetRegistryCA(objects []*unstructured.Unstructured, pem string) error {
	for _, obj := range objects {
		if obj.GetKind() != "ConfigMap" || obj.GetName() != "config-registry-cert" {
			continue
		}
		has, _, err := unstructured.NestedString(obj.Object, "data", "cert")
		if err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
		return unstructured.SetNestedField(obj.Object, has+pem, "data", "cert")
	}
	return nil
}
