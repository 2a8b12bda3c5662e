package certs

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// injector is the field manager that owns every caBundle, and nothing else.
//
// The API server keeps a list's item as long as anybody owns a part of it. So a
// webhook that leaves its configuration by server-side apply would stay behind as
// a name and a bundle, which is invalid, and the whole apply is refused: whoever
// removes or renames a webhook deletes the configuration first.
const injector = "tekgate-certs"

// InjectMutating writes bundle, as PEM, into every webhook of the
// MutatingWebhookConfiguration called name. All other fields stay with whoever
// wrote them, and nothing is written where the bundle is there already: changed
// says whether it was not.
func InjectMutating(ctx context.Context, c client.Client, name string, bundle []byte) (changed bool, err error) {
	return inject(ctx, c, "MutatingWebhookConfiguration", name, bundle)
}

// InjectValidating does for a ValidatingWebhookConfiguration what InjectMutating
// does for a mutating one.
func InjectValidating(ctx context.Context, c client.Client, name string, bundle []byte) (changed bool, err error) {
	return inject(ctx, c, "ValidatingWebhookConfiguration", name, bundle)
}

func inject(ctx context.Context, c client.Client, kind, name string, bundle []byte) (changed bool, err error) {
	live := &unstructured.Unstructured{}
	live.SetAPIVersion("admissionregistration.k8s.io/v1")
	live.SetKind(kind)
	err = c.Get(ctx, client.ObjectKey{Name: name}, live)
	if apierrors.IsNotFound(err) {
		return false, fmt.Errorf("injecting the CA into %s %s: there is none; `tekgate install` creates it", kind, name)
	}
	if err != nil {
		return false, fmt.Errorf("reading %s %s to inject the CA: %w", kind, name, err)
	}
	want, changed := bundled(live, bundle)
	if !changed {
		return false, nil
	}
	// Others own the bundle only where they put one in by hand, and then a wrong
	// one: so ours is forced.
	err = c.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), client.FieldOwner(injector),
		client.ForceOwnership)
	if err != nil {
		return false, fmt.Errorf("injecting the CA into %s %s: %w", kind, name, err)
	}
	return true, nil
}

// bundled returns live reduced to its webhooks' names, each with the bundle, and
// whether any of them has another one. The UID keeps the API server from making
// the object anew, should it have been deleted since it was read.
func bundled(live *unstructured.Unstructured, bundle []byte) (want *unstructured.Unstructured, changed bool) {
	encoded := base64.StdEncoding.EncodeToString(bundle)
	hooks, _, _ := unstructured.NestedSlice(live.Object, "webhooks")
	reduced := make([]any, 0, len(hooks))
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		reduced = append(reduced, map[string]any{
			"name":         hook["name"],
			"clientConfig": map[string]any{"caBundle": encoded},
		})
		has, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
		held, err := base64.StdEncoding.DecodeString(has)
		changed = changed || err != nil || !bytes.Equal(held, bundle)
	}
	want = &unstructured.Unstructured{Object: map[string]any{"webhooks": reduced}}
	want.SetGroupVersionKind(live.GroupVersionKind())
	want.SetName(live.GetName())
	want.SetUID(live.GetUID())
	return want, changed
}
