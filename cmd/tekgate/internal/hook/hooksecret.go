package hook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// hookManager is the field manager of what this package writes. A key that a Secret gains has
// a manager of its own, since a manager that applies one key takes back its others.
const hookManager = "tekgate-hook"

var secretsResource = schema.GroupResource{Resource: "secrets"}

// secretKey is a value in a Secret.
type secretKey struct {
	client          client.Client
	namespace, name string
	key             string
	// hidden keeps a new Secret from the interceptor, which reads only those with its label.
	hidden bool
}

func (k secretKey) String() string {
	return fmt.Sprintf("key %s of Secret %s/%s", k.key, k.namespace, k.name)
}

// secretValue is what was read of a secretKey.
type secretValue struct {
	data     []byte // as it is stored; nil if there is no such key
	exists   bool   // the Secret does
	labelled bool   // for the interceptor
	version  string
}

func (k secretKey) read(ctx context.Context) (secretValue, error) {
	u := secretObject(k.namespace, k.name)
	err := k.client.Get(ctx, client.ObjectKeyFromObject(u), u)
	if apierrors.IsNotFound(err) {
		return secretValue{}, nil
	}
	if err != nil {
		return secretValue{}, fmt.Errorf("reading Secret %s/%s: %w", k.namespace, k.name, err)
	}
	value := secretValue{exists: true, labelled: u.GetLabels()[wellknown.WebhookSecretKey] != "",
		version: u.GetResourceVersion()}
	encoded, found, _ := unstructured.NestedString(u.Object, "data", k.key)
	if !found {
		return value, nil
	}
	if value.data, err = base64.StdEncoding.DecodeString(encoded); err != nil {
		return secretValue{}, fmt.Errorf("reading Secret %s/%s: %s is not base64", k.namespace, k.name, k.key)
	}
	return value, nil
}

func secretObject(namespace, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("v1")
	u.SetKind("Secret")
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// ensure stores a value unless there is one, and returns the one that is stored, what became
// of the Secret (created, configured or unchanged), and a function that undoes it.
func (k secretKey) ensure(ctx context.Context, value []byte) (
	stored []byte, action string, undo func(context.Context) error, err error) {
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		is, err := k.read(ctx)
		switch {
		case err != nil:
			return err
		case is.data != nil:
			stored, action, undo = trimNewline(is.data), "unchanged", nil
			return nil
		case is.exists:
			stored, action, undo = value, "configured", k.remove
			return k.add(ctx, value, is.version)
		}
		stored, action, undo = value, "created", k.remove
		return k.create(ctx, value)
	})
	if err != nil {
		return nil, "", nil, fmt.Errorf("writing %s: %w", k, err)
	}
	if len(stored) == 0 {
		return nil, "", nil, fmt.Errorf("%s is empty, and an empty secret verifies nothing: delete the key, and run this again",
			k)
	}
	return stored, action, undo, nil
}

// put stores a value, also in place of another one, and returns what became of the Secret, a
// function that undoes it, and what the key is then: removed or restored.
func (k secretKey) put(ctx context.Context, value []byte) (
	action string, undo func(context.Context) error, undone string, err error) {
	is, err := k.read(ctx)
	switch {
	case err != nil:
		return "", nil, "", err
	case is.data == nil:
		_, action, undo, err = k.ensure(ctx, value)
		return action, undo, "removed", err
	case bytes.Equal(is.data, value):
		return "unchanged", nil, "", nil
	}
	if err := k.replace(ctx, value); err != nil {
		return "", nil, "", fmt.Errorf("writing %s: %w", k, err)
	}
	return "configured", func(ctx context.Context) error { return k.replace(ctx, is.data) }, "restored", nil
}

// replace changes the value of a key that exists.
func (k secretKey) replace(ctx context.Context, value []byte) error {
	patch, err := json.Marshal(map[string]any{"data": map[string]any{k.key: base64.StdEncoding.EncodeToString(value)}})
	if err != nil {
		return err
	}
	return k.client.Patch(ctx, secretObject(k.namespace, k.name), client.RawPatch(types.MergePatchType, patch),
		client.FieldOwner(k.manager()))
}

// create makes the Secret. The interceptor reads only Secrets with the label.
func (k secretKey) create(ctx context.Context, value []byte) error {
	u := secretObject(k.namespace, k.name)
	if !k.hidden {
		u.SetLabels(map[string]string{wellknown.WebhookSecretKey: "true"})
	}
	u.Object["type"] = "Opaque"
	u.Object["data"] = map[string]any{k.key: base64.StdEncoding.EncodeToString(value)}
	err := k.client.Create(ctx, u, client.FieldOwner(hookManager))
	if apierrors.IsAlreadyExists(err) {
		return apierrors.NewConflict(secretsResource, k.name, err)
	}
	return err
}

// add adds the key to a Secret that nobody has changed since it was read.
func (k secretKey) add(ctx context.Context, value []byte, version string) error {
	u := secretObject(k.namespace, k.name)
	u.SetResourceVersion(version)
	u.Object["data"] = map[string]any{k.key: base64.StdEncoding.EncodeToString(value)}
	return k.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(k.manager()))
}

func (k secretKey) manager() string {
	const longest = 128
	name := hookManager + "-" + k.key
	return name[max(0, len(name)-longest):]
}

// remove takes the key away, and the Secret if that is left without keys.
func (k secretKey) remove(ctx context.Context) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		u := secretObject(k.namespace, k.name)
		if err := k.client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return client.IgnoreNotFound(err)
		}
		data, _, err := unstructured.NestedMap(u.Object, "data")
		if err != nil {
			return err
		}
		if _, found := data[k.key]; found && len(data) == 1 && madeHere(u) {
			uid, version := u.GetUID(), u.GetResourceVersion()
			return client.IgnoreNotFound(
				k.client.Delete(ctx, u, client.Preconditions{UID: &uid, ResourceVersion: &version}))
		}
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": u.GetResourceVersion()}, "data": map[string]any{k.key: nil},
		})
		if err != nil {
			return err
		}
		return k.client.Patch(ctx, u, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(hookManager))
	})
}

// madeHere reports whether this command created an object.
func madeHere(u *unstructured.Unstructured) bool {
	for _, entry := range u.GetManagedFields() {
		if entry.Manager == hookManager && entry.Operation == "Update" {
			return true
		}
	}
	return false
}

// newSecret returns a random secret of 32 bytes in the form that the mode takes.
func newSecret(mode string) []byte {
	value := make([]byte, 32)
	rand.Read(value) // it never fails
	if mode == "signing-token" {
		return []byte("whsec_" + base64.StdEncoding.EncodeToString(value))
	}
	return []byte(hex.EncodeToString(value))
}

// withRefs returns a copy of params with these secretRefs in place of its own.
func withRefs(params map[string]any, refs [][2]string) map[string]any {
	params = maps.Clone(params)
	delete(params, "secretRef")
	params["secretRefs"] = refList(refs)
	return params
}

// refList returns secretRefs as a Trigger has them.
func refList(refs [][2]string) []any {
	list := make([]any, 0, len(refs))
	for _, ref := range refs {
		list = append(list, map[string]any{"secretName": ref[0], "secretKey": ref[1]})
	}
	return list
}
