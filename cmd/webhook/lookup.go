package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// lookups answer what the mutator's rules ask, see mutator.Cluster. They ask a
// cache first, since there are several for each TaskRun, and the API server where
// the cache has nothing: people create a ServiceAccount and a TaskRun that wants
// it in one command, and the cache hears of it a moment later.
type lookups struct {
	live   client.Reader
	cached client.Reader
	synced func() bool // whether the cache holds all Namespaces and ServiceAccounts
	tekton *tektonSetup
	// What the images of the mirror start.
	programs *programs
	// What runs name.
	tasks, actions, policies *stored
	changes                  server.Notifier // of Namespaces that gain, change or lose settings of their own
	own                      *ownSettings
}

var _ mutator.Cluster = (*lookups)(nil)

// watch makes the cache hold Namespaces and ServiceAccounts from the start.
func (l *lookups) watch(ctx context.Context, c cache.Cache) error {
	var informers []cache.Informer
	for _, object := range []client.Object{partialNamespace(), &corev1.ServiceAccount{}} {
		informer, err := c.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching Namespaces and ServiceAccounts: %w", err)
		}
		informers = append(informers, informer)
	}
	_, err := informers[0].AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(added any) { l.changed(nil, added) },
		UpdateFunc: l.changed,
		DeleteFunc: func(gone any) { l.changed(gone, nil); l.own.forget(gone) },
	})
	if err != nil {
		return fmt.Errorf("watching Namespaces: %w", err)
	}
	l.cached = c
	l.synced = func() bool { return informers[0].HasSynced() && informers[1].HasSynced() }
	return nil
}

func (l *lookups) changed(before, after any) {
	if hasSettings(before) != hasSettings(after) {
		l.changes.Notify()
	}
}

func hasSettings(namespace any) bool {
	object, ok := namespace.(*metav1.PartialObjectMetadata)
	return ok && object.Annotations[wellknown.MutatorKey] != ""
}

// withSettings returns the names of the Namespaces that have settings of their own.
func (l *lookups) withSettings(ctx context.Context) ([]string, error) {
	if !l.synced() {
		return nil, errors.New("the Namespaces are not known yet")
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "NamespaceList"})
	if err := l.cached.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("looking for Namespaces with settings of their own: %w", err)
	}
	var names []string
	for i := range list.Items {
		if hasSettings(&list.Items[i]) {
			names = append(names, list.Items[i].Name)
		}
	}
	return names, nil
}

// get reads an object into one that holds its namespace and name, and reports
// false where it does not exist.
func (l *lookups) get(ctx context.Context, object client.Object) (bool, error) {
	key := client.ObjectKeyFromObject(object)
	if l.synced() && l.cached.Get(ctx, key, object) == nil {
		return true, nil
	}
	return l.ask(ctx, object)
}

// ask is get without the cache.
func (l *lookups) ask(ctx context.Context, object client.Object) (bool, error) {
	err := l.live.Get(ctx, client.ObjectKeyFromObject(object), object)
	if kube.Absent(err) {
		return false, nil
	}
	return err == nil, err
}

// Namespace implements mutator.Cluster.
func (l *lookups) Namespace(ctx context.Context, name string) (*mutator.Namespace, error) {
	object := partialNamespace()
	object.Name = name
	found, err := l.get(ctx, object)
	if err != nil || !found {
		return nil, err
	}
	known := &mutator.Namespace{Labels: object.Labels, Annotations: object.Annotations}
	if object.Annotations[wellknown.MutatorKey] == keptApart {
		text, reason := l.own.of(ctx, l.live, name)
		known.Annotations, known.Unused = map[string]string{wellknown.MutatorKey: text}, reason
	}
	return known, nil
}

// ServiceAccount implements mutator.Cluster. One that lists no Secret is asked
// for again: it may just have been given one, and a build would fail for the want
// of it.
func (l *lookups) ServiceAccount(ctx context.Context, namespace, name string) (*mutator.Account, error) {
	object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	found, err := l.get(ctx, object)
	if err == nil && found && len(object.Secrets) == 0 {
		found, err = l.ask(ctx, object)
	}
	if err != nil || !found {
		return nil, err
	}
	account := &mutator.Account{Annotations: object.Annotations}
	for _, secret := range object.Secrets {
		account.Secrets = append(account.Secrets, secret.Name)
	}
	for _, secret := range object.ImagePullSecrets {
		account.PullSecrets = append(account.PullSecrets, secret.Name)
	}
	return account, nil
}

// hasAccount reports whether the cache has a ServiceAccount.
func (l *lookups) hasAccount(ctx context.Context, namespace, name string) bool {
	key := client.ObjectKey{Namespace: namespace, Name: name}
	return l.synced() && l.cached.Get(ctx, key, &corev1.ServiceAccount{}) == nil
}

// WorkloadIdentity implements mutator.Cluster, by the cache alone.
func (l *lookups) WorkloadIdentity(ctx context.Context, namespace string, annotations []string) (string, error) {
	if !l.synced() {
		return "", errors.New("the ServiceAccounts are not known yet")
	}
	var list corev1.ServiceAccountList
	if err := l.cached.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return "", err
	}
	for i := range list.Items {
		for _, key := range annotations {
			if list.Items[i].Annotations[key] != "" {
				return list.Items[i].Name, nil
			}
		}
	}
	return "", nil
}

// Task implements mutator.Cluster.
func (l *lookups) Task(ctx context.Context, namespace, name string) (map[string]any, error) {
	return l.tasks.get(ctx, namespace, name)
}

// StepAction implements mutator.Cluster.
func (l *lookups) StepAction(ctx context.Context, namespace, name string) (map[string]any, error) {
	return l.actions.get(ctx, namespace, name)
}

// Verifies implements mutator.Cluster.
func (l *lookups) Verifies(ctx context.Context, namespace string) (bool, error) {
	return l.policies.any(ctx, namespace)
}

// ConfigMap implements mutator.Cluster. It asks the API server, since no ConfigMaps are watched:
// the server may read those of one name alone.
func (l *lookups) ConfigMap(ctx context.Context, namespace, name string) (*mutator.ConfigMap, error) {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	found, err := l.ask(ctx, object)
	if err != nil || !found {
		return nil, err
	}
	return &mutator.ConfigMap{Keys: slices.Sorted(maps.Keys(object.Data))}, nil
}

// Tekton implements mutator.Cluster.
func (l *lookups) Tekton(context.Context) mutator.Tekton { return l.tekton.now() }

// Entrypoints implements mutator.Cluster.
func (l *lookups) Entrypoints(context.Context) *entrypoint.Table { return l.programs.known.Load() }

// ready keeps traffic away until the cache is filled.
func (l *lookups) ready(*http.Request) error {
	if !l.synced() {
		return errors.New("the Namespaces and ServiceAccounts are not known yet")
	}
	return nil
}

// partialNamespace returns a Namespace that holds metadata alone.
func partialNamespace() *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Namespace"})
	return object
}

// cacheOptions reduce what the cache holds to what is looked up in it.
func cacheOptions(log logr.Logger, own *ownSettings, tekton string) cache.Options {
	shared := true // for they are looked up with every TaskRun, and nobody writes into them
	return cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			partialNamespace():       {Transform: own.keepOurs, UnsafeDisableDeepCopy: &shared},
			&corev1.ServiceAccount{}: {Transform: keepAccount, UnsafeDisableDeepCopy: &shared},
			&appsv1.Deployment{}: {
				Namespaces: map[string]cache.Config{mutator.ResolversOf(tekton): {}},
				Field:      fields.OneTermEqualSelector("metadata.name", resolvers), UnsafeDisableDeepCopy: &shared,
			},

			&admissionv1.MutatingWebhookConfiguration{}:   named(wellknown.MutatingConfiguration),
			&admissionv1.ValidatingWebhookConfiguration{}: named(wellknown.ValidatingConfiguration),
		},
		DefaultTransform: keepStored(log),
	}
}

// keepOurs keeps the labels and annotations of a Namespace that are for us. Its own settings
// are kept apart, since they are bounded.
func (s *ownSettings) keepOurs(in any) (any, error) {
	object, ok := in.(*metav1.PartialObjectMetadata)
	if !ok {
		return in, nil
	}
	meta := reduced(&object.ObjectMeta)
	if value, ok := object.Labels[wellknown.MutateKey]; ok {
		meta.Labels = map[string]string{wellknown.MutateKey: value}
	}
	text := object.Annotations[wellknown.MutatorKey]
	if s.hold(object.Name, text); text != "" {
		meta.Annotations = map[string]string{wellknown.MutatorKey: keptApart}
	}
	object.ObjectMeta = meta
	return object, nil
}

func keepAccount(in any) (any, error) {
	object, ok := in.(*corev1.ServiceAccount)
	if !ok {
		return in, nil
	}
	meta := reduced(&object.ObjectMeta)
	meta.Annotations = object.Annotations
	object.ObjectMeta = meta
	return object, nil
}

func reduced(meta *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: meta.Namespace, Name: meta.Name, UID: meta.UID,
		ResourceVersion: meta.ResourceVersion}
}
