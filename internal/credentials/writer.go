package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// owner is the field manager of what this package writes.
const owner = client.FieldOwner("tekgate-credentials")

// The lists of a ServiceAccount that name Secrets.
const (
	forSteps   = "secrets"          // for Tekton, which hands them to steps
	forKubelet = "imagePullSecrets" // for the kubelet, which pulls images
)

// Writer writes to a cluster. A dry run is a client's
// (client.NewDryRunClient).
type Writer struct {
	Client client.Client
	// Report hears what became of each object: created, configured or unchanged.
	Report func(obj *unstructured.Unstructured, action string)
	// Warn gets a sentence about each Secret that keeps another from being used.
	Warn func(warning string)
}

// Git writes a Secret for git servers, and gives it to a ServiceAccount.
func (w Writer) Git(ctx context.Context, namespace, account, name string, git Git) error {
	secret, hosts, err := git.secret(name)
	if err != nil {
		return err
	}
	own, err := w.annotations(ctx, namespace, name)
	if err != nil {
		return err
	}
	names, err := w.listed(ctx, namespace, account)
	if err != nil {
		return err
	}
	var others []map[string]string
	annotations := map[string]map[string]string{}
	for _, other := range names {
		if other == name {
			continue
		}
		if annotations[other], err = w.annotations(ctx, namespace, other); err != nil {
			return err
		}
		others = append(others, annotations[other])
	}
	annotations[name] = hostAnnotations(own, others, hosts)
	secret.SetAnnotations(annotations[name])
	if git.Key == nil {
		if err := w.judge(namespace, name, names, annotations); err != nil {
			return err
		}
	}
	return w.give(ctx, namespace, account, secret)
}

// judge returns an error or warns if URLs of a ServiceAccount's Secrets do not work together.
func (w Writer) judge(namespace, name string, names []string, annotations map[string]map[string]string) error {
	if !slices.Contains(names, name) {
		names = append(slices.Clone(names), name)
	}
	var urls []gitURL
	for _, each := range names {
		urls = append(urls, gitURLs(each, annotations[each])...)
	}
	if err := clash(namespace, name, urls); err != nil {
		return err
	}
	for _, warning := range conflicts(namespace, name, urls) {
		w.Warn(warning)
	}
	return nil
}

// Registry writes a Secret for registries, and gives it to a ServiceAccount's
// steps.
func (w Writer) Registry(ctx context.Context, namespace, account, name string, registry Registry) error {
	secret, err := registry.secret(name)
	if err != nil {
		return err
	}
	return w.give(ctx, namespace, account, secret)
}

func (w Writer) give(ctx context.Context, namespace, account string, secret *unstructured.Unstructured) error {
	if err := w.secret(ctx, namespace, secret); err != nil {
		return err
	}
	return w.attach(ctx, namespace, account, forSteps, secret.GetName())
}

// secret writes a Secret, unless one of that name is somebody else's.
func (w Writer) secret(ctx context.Context, namespace string, secret *unstructured.Unstructured) error {
	secret = secret.DeepCopy()
	secret.SetNamespace(namespace)
	live, err := w.get(ctx, secret.GroupVersionKind(), namespace, secret.GetName())
	if err != nil {
		return err
	}
	switch {
	case live == nil:
	case live.GetLabels()["app.kubernetes.io/managed-by"] != managedBy:
		return fmt.Errorf(
			"writing Secret %s/%s: it exists and is not of `tekgate credentials`: choose another name",
			namespace,
			secret.GetName(),
		)
	case live.Object["type"] != secret.Object["type"]:
		return fmt.Errorf(
			"writing Secret %s/%s: it is of type %v, which cannot be changed: choose another name, or delete it first",
			namespace,
			secret.GetName(),
			live.Object["type"],
		)
	}
	err = w.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(secret), owner, client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("writing Secret %s/%s: %w", namespace, secret.GetName(), err)
	}
	w.report(secret, live)
	return nil
}

// report tells what a write made of an object.
func (w Writer) report(now, before *unstructured.Unstructured) {
	action := "configured"
	switch {
	case before == nil:
		action = "created"
	case before.GetResourceVersion() == now.GetResourceVersion():
		action = "unchanged"
	}
	w.Report(now, action)
}

// attach adds a Secret to one of a ServiceAccount's lists. Where others write at
// the same time it reads again, so that none of their entries is lost.
func (w Writer) attach(ctx context.Context, namespace, account, list, name string) error {
	kind := schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := w.get(ctx, kind, namespace, account)
		if err != nil {
			return err
		}
		if live == nil {
			return w.createAccount(ctx, namespace, account, list, name)
		}
		entries, _, err := unstructured.NestedSlice(live.Object, list)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(entries, func(e any) bool { m, _ := e.(map[string]any); return m["name"] == name }) {
			w.Report(live, "unchanged")
			return nil
		}
		return w.patch(ctx, live, map[string]any{list: append(entries, map[string]any{"name": name})})
	})
	if err != nil {
		return fmt.Errorf("adding Secret %s to %s of ServiceAccount %s/%s: %w", name, list, namespace, account, err)
	}
	return nil
}

func (w Writer) createAccount(ctx context.Context, namespace, account, list, name string) error {
	obj := &unstructured.Unstructured{Object: map[string]any{list: []any{map[string]any{"name": name}}}}
	obj.SetAPIVersion("v1")
	obj.SetKind("ServiceAccount")
	obj.SetNamespace(namespace)
	obj.SetName(account)
	err := w.Client.Create(ctx, obj, owner)
	if apierrors.IsAlreadyExists(err) {
		return apierrors.NewConflict(
			schema.GroupResource{Resource: "serviceaccounts"},
			account,
			errors.New("somebody was faster"),
		)
	}
	if err == nil {
		w.Report(obj, "created")
	}
	return err
}

// patch merges fields into an object if nobody has written it since it was read.
func (w Writer) patch(ctx context.Context, live *unstructured.Unstructured, fields map[string]any) error {
	patch := map[string]any{"metadata": map[string]any{"resourceVersion": live.GetResourceVersion()}}
	for key, value := range fields {
		patch[key] = value
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	now := live.DeepCopy()
	if err := w.Client.Patch(ctx, now, client.RawPatch(types.MergePatchType, text), owner); err != nil {
		return err
	}
	w.Report(now, "configured")
	return nil
}

// Pull writes a pull Secret into namespaces, and adds it to their
// ServiceAccounts: account "*" stands for all of Tekton and Tekgate there.
func (w Writer) Pull(ctx context.Context, name string, registry Registry, accounts map[string][]string) error {
	secret, err := registry.secret(name)
	if err != nil {
		return err
	}
	var problems []error
	for _, namespace := range sortedKeys(accounts) {
		err := w.secret(ctx, namespace, secret)
		for _, account := range accounts[namespace] {
			if err == nil {
				err = w.attach(ctx, namespace, account, forKubelet, name)
			}
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func sortedKeys(m map[string][]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// SystemAccounts returns the ServiceAccounts of Tekton and Tekgate in namespaces.
func (w Writer) SystemAccounts(ctx context.Context, namespaces ...string) (map[string][]string, error) {
	accounts := map[string][]string{}
	for _, namespace := range namespaces {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"})
		if err := w.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("listing the ServiceAccounts of namespace %s: %w", namespace, err)
		}
		for _, item := range list.Items {
			if part := item.Labels["app.kubernetes.io/part-of"]; part == "tekgate" ||
				strings.HasPrefix(part, "tekton-") {
				accounts[namespace] = append(accounts[namespace], item.Name)
			}
		}
	}
	return accounts, nil
}

// ListenerAccounts returns the ServiceAccounts that EventListeners run under, by
// namespace.
func (w Writer) ListenerAccounts(ctx context.Context) (map[string][]string, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(
		schema.GroupVersionKind{Group: "triggers.tekton.dev", Version: "v1beta1", Kind: "EventListener"},
	)
	accounts := map[string][]string{}
	err := w.Client.List(ctx, list)
	if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("listing EventListeners: %w", err)
	}
	for i := range list.Items {
		listener := &list.Items[i]
		account, _, _ := unstructured.NestedString(listener.Object, "spec", "serviceAccountName")
		if account == "" {
			account = "default"
		}
		if namespace := listener.GetNamespace(); !slices.Contains(accounts[namespace], account) {
			accounts[namespace] = append(accounts[namespace], account)
		}
	}
	return accounts, nil
}

// DefaultPull adds a pull Secret to the Pods of all runs, by Tekton's
// default-pod-template.
func (w Writer) DefaultPull(ctx context.Context, name string) error {
	return w.configMap(
		ctx,
		"config-defaults",
		"default-pod-template",
		func(text string) (string, error) { return withPullSecret(text, name) },
	)
}

// withPullSecret adds a Secret to a Pod template's imagePullSecrets.
func withPullSecret(text, name string) (string, error) {
	template := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &template); err != nil {
		return "", errors.New("the template that is there is not YAML")
	}
	entries, _ := template[forKubelet].([]any)
	if slices.ContainsFunc(entries, func(e any) bool { m, _ := e.(map[string]any); return m["name"] == name }) {
		return text, nil
	}
	if template == nil {
		template = map[string]any{}
	}
	template[forKubelet] = append(entries, map[string]any{"name": name})
	out, err := yaml.Marshal(template)
	return string(out), err
}

const systemNamespace = wellknown.PipelinesNamespace

// configMap changes one key of a ConfigMap of Tekton's.
func (w Writer) configMap(ctx context.Context, name, key string, change func(string) (string, error)) error {
	kind := schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := w.get(ctx, kind, systemNamespace, name)
		if err != nil {
			return err
		}
		if live == nil {
			return errors.New("it does not exist: install Tekton first, for example with `tekgate install`")
		}
		text, _, _ := unstructured.NestedString(live.Object, "data", key)
		next, err := change(text)
		if err != nil {
			return err
		}
		if next == text {
			w.Report(live, "unchanged")
			return nil
		}
		return w.patch(ctx, live, map[string]any{"data": map[string]any{key: next}})
	})
	if err != nil {
		return fmt.Errorf("changing %s of ConfigMap %s/%s: %w", key, systemNamespace, name, err)
	}
	return nil
}

// certificates is the ConfigMap by which Tekton's controllers trust registries.
const certificates = "config-registry-cert"

// CA adds certificate authorities to those by which Tekton's controllers trust
// registries.
func (w Writer) CA(ctx context.Context, text []byte, now time.Time) error {
	blocks, err := authorities(text, now)
	if err != nil {
		return err
	}
	return w.configMap(
		ctx,
		certificates,
		"cert",
		func(text string) (string, error) { return addAuthorities(text, blocks), nil },
	)
}

// Trusting returns the Deployments that read the certificate authorities, which
// they do when they start.
func (w Writer) Trusting(ctx context.Context) ([]*unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"})
	if err := w.Client.List(ctx, list, client.InNamespace(systemNamespace)); err != nil {
		return nil, fmt.Errorf("listing Tekton's Deployments: %w", err)
	}
	var trusting []*unstructured.Unstructured
	for i := range list.Items {
		volumes, _, _ := unstructured.NestedSlice(list.Items[i].Object, "spec", "template", "spec", "volumes")
		if slices.ContainsFunc(volumes, func(v any) bool {
			volume, _ := v.(map[string]any)
			name, _, _ := unstructured.NestedString(volume, "configMap", "name")
			return name == certificates
		}) {
			trusting = append(trusting, &list.Items[i])
		}
	}
	return trusting, nil
}

// Restart makes a Deployment replace its Pods, one after the other.
func (w Writer) Restart(ctx context.Context, deployment *unstructured.Unstructured, now time.Time) error {
	annotation := map[string]any{"kubectl.kubernetes.io/restartedAt": now.UTC().Format(time.RFC3339)}
	err := w.patch(
		ctx,
		deployment,
		map[string]any{
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": annotation}}},
		},
	)
	if err != nil {
		return fmt.Errorf("restarting Deployment %s/%s: %w", deployment.GetNamespace(), deployment.GetName(), err)
	}
	return nil
}

// get returns an object, or nil where there is none.
func (w Writer) get(
	ctx context.Context,
	kind schema.GroupVersionKind,
	namespace, name string,
) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return obj, err
}

// annotations returns those of a Secret, whose values are not read; none where
// there is no Secret.
func (w Writer) annotations(ctx context.Context, namespace, name string) (map[string]string, error) {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Secret"})
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("reading the annotations of Secret %s/%s: %w", namespace, name, err)
	}
	return secret.Annotations, nil
}

// listed returns the Secrets that a ServiceAccount gives to steps.
func (w Writer) listed(ctx context.Context, namespace, account string) ([]string, error) {
	live, err := w.get(ctx, schema.GroupVersionKind{Version: "v1", Kind: "ServiceAccount"}, namespace, account)
	if err != nil || live == nil {
		return nil, err
	}
	entries, _, _ := unstructured.NestedSlice(live.Object, forSteps)
	var names []string
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		if name, _ := entry["name"].(string); name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}
