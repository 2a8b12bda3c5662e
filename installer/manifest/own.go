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

// registryCert is Tekton's name for the ConfigMap of certificate authorities of registries, and for
// the volume with it.
const registryCert = "config-registry-cert"

// SetRegistryCA gives Tekton's controllers the certificate authorities of a mirror, in PEM form, by
// its ConfigMap config-registry-cert, and returns the objects: they ask registries themselves for
// the entrypoints of images (tektoncd/pipeline#3105), and what the nodes trust does not help them.
// pem is added to what the release has there. A release without that ConfigMap stays as it is.
//
// Chains pushes signatures to the registries of images, and its release has no place for
// authorities: its controller gets the ConfigMap, variables and volume that Pipelines' has.
func SetRegistryCA(objects []*unstructured.Unstructured, pem string) ([]*unstructured.Unstructured, error) {
	var chains *unstructured.Unstructured
	for _, obj := range objects {
		switch {
		case obj.GetKind() == "ConfigMap" && obj.GetName() == registryCert:
			has, _, err := unstructured.NestedString(obj.Object, "data", "cert")
			if err != nil {
				return nil, fmt.Errorf("%s: %w", kube.Name(obj), err)
			}
			if err := unstructured.SetNestedField(obj.Object, has+pem, "data", "cert"); err != nil {
				return nil, err
			}
		case obj.GetKind() == "Deployment" && obj.GetName() == "tekton-chains-controller":
			chains = obj
		}
	}
	if chains == nil {
		return objects, nil
	}
	authorities := &unstructured.Unstructured{Object: map[string]any{"data": map[string]any{"cert": pem}}}
	authorities.SetAPIVersion("v1")
	authorities.SetKind("ConfigMap")
	authorities.SetNamespace(chains.GetNamespace())
	authorities.SetName(registryCert)
	const part = "app.kubernetes.io/part-of"
	authorities.SetLabels(map[string]string{part: chains.GetLabels()[part]})
	return append(objects, authorities), mountRegistryCA(chains)
}

// mountRegistryCA has the containers of a Deployment read the ConfigMap config-registry-cert. It is
// optional, so that a Deployment that was recorded with it starts where the ConfigMap is gone.
func mountRegistryCA(deployment *unstructured.Unstructured) error {
	pod := []string{"spec", "template", "spec"}
	containers, _, err := unstructured.NestedSlice(deployment.Object, append(pod, "containers")...)
	if err != nil {
		return fmt.Errorf("%s: %w", kube.Name(deployment), err)
	}
	for _, c := range containers {
		container, _ := c.(map[string]any)
		container["env"] = named(container["env"], map[string]any{
			"name": "SSL_CERT_FILE", "value": "/etc/" + registryCert + "/cert",
		}, map[string]any{"name": "SSL_CERT_DIR", "value": "/etc/ssl/certs"})
		container["volumeMounts"] = named(container["volumeMounts"], map[string]any{
			"name": registryCert, "mountPath": "/etc/" + registryCert,
		})
	}
	if err := unstructured.SetNestedSlice(deployment.Object, containers, append(pod, "containers")...); err != nil {
		return err
	}
	volumes, _, err := unstructured.NestedSlice(deployment.Object, append(pod, "volumes")...)
	if err != nil {
		return fmt.Errorf("%s: %w", kube.Name(deployment), err)
	}
	volumes = named(volumes, map[string]any{
		"name": registryCert, "configMap": map[string]any{"name": registryCert, "optional": true},
	})
	return unstructured.SetNestedSlice(deployment.Object, volumes, append(pod, "volumes")...)
}

// named returns a list with items added, except those of whose name it has one.
func named(list any, items ...map[string]any) []any {
	all, _ := list.([]any)
	for _, item := range items {
		if !slices.ContainsFunc(all, func(other any) bool {
			has, _ := other.(map[string]any)
			return has["name"] == item["name"]
		}) {
			all = append(all, item)
		}
	}
	return all
}
