package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
)

// trust knows the webhook configurations of the installation as they are now. They
// are watched: an overwritten caBundle cuts every replica off, and must neither
// wait for the next look nor go unnoticed by who asks whether this server is ready.
type trust struct {
	authority *certs.Authority
	cached    client.Reader
	synced    func() bool
	changes   []bell // told of changes to the configurations
}

// bell holds one where something has changed.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default: // one is enough
	}
}

// watch begins, and reads both configurations once the cache starts.
func (t *trust) watch(ctx context.Context, c cache.Cache) error {
	t.cached = c
	var informers []cache.Informer
	for _, object := range []client.Object{&admissionv1.MutatingWebhookConfiguration{}, &admissionv1.ValidatingWebhookConfiguration{}} {
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
	for _, b := range t.changes {
		b.ring()
	}
}

// named limits what is watched to one object, which is all that the server may see.
func named(name string) cache.ByObject {
	return cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", name), Transform: cache.TransformStripManagedFields()}
}

// ready fails while the API server would not trust the certificate that is served.
// Where the configurations do not exist nobody is there to distrust it.
func (t *trust) ready(r *http.Request) error {
	if !t.synced() {
		return errors.New("the webhook configurations are not known yet")
	}
	var mutating admissionv1.MutatingWebhookConfiguration
	var validating admissionv1.ValidatingWebhookConfiguration
	mutates, err := t.read(r.Context(), mutatingConfiguration, &mutating)
	if err != nil {
		return err
	}
	validates, err := t.read(r.Context(), validatingConfiguration, &validating)
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
	if apierrors.IsNotFound(err) {
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
