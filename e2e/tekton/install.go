package tekton

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// needed are the kinds that a webhook has to find when it starts.
var needed = []string{"Namespace", "CustomResourceDefinition", "ConfigMap", "Secret"}

// install creates what is needed and not there, and makes everything that
// names the webhook's Service lead to this machine.
func (w *Webhook) install(ctx context.Context, objects []*unstructured.Unstructured) error {
	if err := w.direct(ctx); err != nil {
		return err
	}
	home := object("v1", "Namespace", "", namespace) // Triggers' release brings none
	if err := w.create(ctx, home); err != nil {
		return err
	}
	for _, obj := range objects {
		if slices.Contains(needed, obj.GetKind()) {
			if err := w.create(ctx, obj); err != nil {
				return err
			}
		}
		if err := w.convert(ctx, obj); err != nil {
			return err
		}
	}
	if err := w.serve(ctx); err != nil {
		return err
	}
	for _, obj := range objects {
		if err := w.register(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// direct makes sure that the API server, which has this process's environment,
// will not ask a proxy for the Service.
func (w *Webhook) direct(ctx context.Context) error {
	address := "https://" + net.JoinHostPort(w.service+"."+namespace+".svc", strconv.Itoa(w.port))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if proxy, err := http.ProxyFromEnvironment(req); err != nil || proxy != nil {
		return errors.New("HTTPS_PROXY is set, and the API server would ask the proxy for its webhooks: add .svc to NO_PROXY")
	}
	return nil
}

func (w *Webhook) create(ctx context.Context, obj *unstructured.Unstructured) error {
	if err := w.client.Create(ctx, obj.DeepCopy()); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return nil
}

// convert has the objects of a CRD converted by the webhook, where the release
// does, at its port.
func (w *Webhook) convert(ctx context.Context, obj *unstructured.Unstructured) error {
	conversion, found, _ := unstructured.NestedMap(obj.Object, "spec", "conversion")
	if !found || obj.GetKind() != "CustomResourceDefinition" {
		return nil
	}
	err := unstructured.SetNestedField(conversion, int64(w.port), "webhook", "clientConfig", "service", "port")
	if err != nil {
		return fmt.Errorf("CustomResourceDefinition %s: %w", obj.GetName(), err)
	}
	return w.patch(ctx, obj, map[string]any{"spec": map[string]any{"conversion": conversion}})
}

// patch merges into an object as it is in the cluster.
func (w *Webhook) patch(
	ctx context.Context, obj *unstructured.Unstructured, patch map[string]any, options ...client.PatchOption,
) error {
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	merge := client.RawPatch("application/merge-patch+json", text)
	if err := w.client.Patch(ctx, obj.DeepCopy(), merge, options...); err != nil {
		return fmt.Errorf("patching %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return nil
}

// serve replaces the webhook's Service, which selects Pods that there are not.
func (w *Webhook) serve(ctx context.Context) error {
	service := object("v1", "Service", namespace, w.service)
	if err := w.remove(ctx, service); err != nil {
		return err
	}
	service.Object["spec"] = map[string]any{"type": "ExternalName", "externalName": "127.0.0.1"}
	return w.create(ctx, service)
}

// register creates one of the webhook's configurations anew, under the chosen
// name. It has no rules yet, nor a CA: the process fills in both.
func (w *Webhook) register(ctx context.Context, configuration *unstructured.Unstructured) error {
	hooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	if len(hooks) == 0 {
		return nil
	}
	if err := w.remove(ctx, configuration); err != nil {
		return err
	}
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		hook["name"] = w.called(fmt.Sprint(hook["name"]))
		if err := unstructured.SetNestedField(hook, int64(w.port), "clientConfig", "service", "port"); err != nil {
			return err
		}
	}
	mine := configuration.DeepCopy()
	mine.SetName(w.called(configuration.GetName()))
	mine.Object["webhooks"] = hooks
	if err := w.remove(ctx, mine); err != nil {
		return err
	}
	return w.create(ctx, mine)
}

// called returns the name that a configuration has here.
func (w *Webhook) called(name string) string {
	return strings.TrimSuffix(name, w.name) + w.Name
}

func (w *Webhook) unregister(ctx context.Context) error {
	var errs []error
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		for _, prefix := range []string{"", "validation.", "config."} {
			errs = append(errs, w.remove(ctx, object("admissionregistration.k8s.io/v1", kind, "", prefix+w.Name)))
		}
	}
	return errors.Join(errs...)
}

// dropLeases deletes those that an ended process still holds, for which the
// next one would wait a minute.
func (w *Webhook) dropLeases(ctx context.Context) error {
	leases := &unstructured.UnstructuredList{}
	leases.SetGroupVersionKind(schema.GroupVersionKind{Group: "coordination.k8s.io", Version: "v1", Kind: "LeaseList"})
	if err := w.client.List(ctx, leases, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("looking for the webhook's leases: %w", err)
	}
	var errs []error
	for _, lease := range leases.Items {
		if strings.HasPrefix(lease.GetName(), w.component+".") {
			errs = append(errs, w.remove(ctx, &lease))
		}
	}
	return errors.Join(errs...)
}

func (w *Webhook) remove(ctx context.Context, obj *unstructured.Unstructured) error {
	if err := client.IgnoreNotFound(w.client.Delete(ctx, obj)); err != nil {
		return fmt.Errorf("deleting %s %s: %w", obj.GetKind(), obj.GetName(), err)
	}
	return nil
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}
