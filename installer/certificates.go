package installer

import (
	"context"
	"fmt"
	"slices"

	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

// ServesCertManager reports whether the cluster serves the kinds that certificates need.
func (c *Cluster) ServesCertManager() (bool, error) {
	for _, kind := range []string{cmv1.CertificateKind, cmv1.IssuerKind} {
		served, err := c.Serves(cmv1.SchemeGroupVersion.WithKind(kind))
		if err != nil || !served {
			return false, err
		}
	}
	return true, nil
}

// FindIssuer returns a finding if the issuer does not exist.
func (c *Cluster) FindIssuer(ctx context.Context, issuer manifest.Issuer) ([]Finding, error) {
	obj := NewObject(cmv1.SchemeGroupVersion.WithKind(issuer.Kind), Namespace, issuer.Name)
	if issuer.Kind == cmv1.ClusterIssuerKind {
		obj.SetNamespace("")
	}
	found, err := c.current(ctx, obj)
	if err != nil || found != nil {
		return nil, ignoreForbidden(err)
	}
	return []Finding{{
		Category: "certificates", Fatal: true,
		Sentence: "certificates.issuerRef names " + kube.Name(obj) + ", which does not exist",
		Remedy:   "create it first, or leave issuerRef out to have one made",
	}}, nil
}

// waitCertificates waits until cert-manager has issued the certificates that the changes
// request. Until then the servers use the certificates that they have.
func (r *run) waitCertificates(ctx context.Context, changes []*Change) error {
	requests := slices.DeleteFunc(
		slices.Clone(changes),
		func(c *Change) bool { return !manifest.IsCertificate(c.Desired) },
	)
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, requests, func(current *unstructured.Unstructured) (string, error) {
			certificate, err := manifest.AsCertificate(current)
			if err != nil {
				return "", err
			}
			ready, why := live.Issued(certificate)
			if ready {
				return "", nil
			}
			return kube.Name(current) + " to be issued by cert-manager (" + why + ")", nil
		})
	})
}

// removeIssued deletes the Secret of a Certificate that was removed: cert-manager keeps
// it, with the key in it. The Secret is recognized by the label from the Certificate.
func (r *run) removeIssued(ctx context.Context, removed *unstructured.Unstructured) error {
	certificate, err := manifest.AsCertificate(removed)
	if err != nil || certificate == nil || certificate.Spec.SecretName == "" || !r.options.Wait {
		return err // without waiting, old Pods may still need it
	}
	secret, err := r.Get(ctx, live.Secret, certificate.Namespace, certificate.Spec.SecretName)
	if err != nil || secret == nil || secret.GetLabels()["app.kubernetes.io/part-of"] != "tekgate" {
		return err
	}
	if err := r.client.Delete(ctx, secret); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s: %w", kube.Name(secret), err)
	}
	return nil
}
