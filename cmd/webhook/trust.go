package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// trust watches the webhook configurations of the installation. An overwritten caBundle cuts
// every replica off, so it must be repaired at once, and the readiness probe must fail.
type trust struct {
	authority *certs.Authority
	cached    client.Reader
	synced    func() bool
	changes   []server.Notifier // of the configurations
}

// watch adds both configurations to the cache.
func (t *trust) watch(ctx context.Context, c cache.Cache) error {
	t.cached = c
	var informers []cache.Informer
	for _, object := range []client.Object{&admissionv1.MutatingWebhookConfiguration{},
		&admissionv1.ValidatingWebhookConfiguration{}} {
		informer, err := c.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return fmt.Errorf("watching the webhook configurations: %w", err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { t.changed() },
			UpdateFunc: func(any, any) { t.changed() },
		})
		if err != nil {
			return fmt.Errorf("watching the webhook configurations: %w", err)
		}
		informers = append(informers, informer)
	}
	t.synced = func() bool { return informers[0].HasSynced() && informers[1].HasSynced() }
	return nil
}

func (t *trust) changed() {
	for _, n := range t.changes {
		n.Notify()
	}
}

// named limits what is watched to one object, which is all that the server may see.
func named(name string) cache.ByObject {
	return cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", name),
		Transform: cache.TransformStripManagedFields()}
}

// ready fails while the API server would not trust the certificate that is served. Without
// webhook configurations there are no clients, so the check passes.
func (t *trust) ready(r *http.Request) error {
	if !t.synced() {
		return errors.New("the webhook configurations are not known yet")
	}
	var mutating admissionv1.MutatingWebhookConfiguration
	var validating admissionv1.ValidatingWebhookConfiguration
	mutates, err := t.read(r.Context(), wellknown.MutatingConfiguration, &mutating)
	if err != nil {
		return err
	}
	validates, err := t.read(r.Context(), wellknown.ValidatingConfiguration, &validating)
	if err != nil {
		return err
	}
	if mutates || validates {
		if err := t.authority.Settled(); err != nil {
			return err
		}
	}
	if mutates {
		for _, hook := range mutating.Webhooks {
			err = errors.Join(err, t.trusted(hook.Name, hook.ClientConfig.CABundle))
		}
	}
	if validates {
		for _, hook := range validating.Webhooks {
			err = errors.Join(err, t.trusted(hook.Name, hook.ClientConfig.CABundle))
		}
	}
	return err
}

// read reports false where the configuration does not exist.
func (t *trust) read(ctx context.Context, name string, into client.Object) (bool, error) {
	err := t.cached.Get(ctx, client.ObjectKey{Name: name}, into)
	if kube.Absent(err) {
		return false, nil
	}
	return err == nil, err
}

func (t *trust) trusted(hook string, bundle []byte) error {
	if err := t.authority.TrustedBy(bundle); err != nil {
		return fmt.Errorf("webhook %s: %w", hook, err)
	}
	return nil
}
