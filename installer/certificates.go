package installer

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Issuer names one of cert-manager's: Kind is Issuer, in Tekgate's namespace, or
// ClusterIssuer.
type Issuer struct{ Kind, Name string }

func (i Issuer) reference() cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: certmanager.GroupName, Kind: i.Kind, Name: i.Name}
}

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
func (c *Cluster) FindIssuer(ctx context.Context, issuer Issuer) ([]Finding, error) {
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

// UseCertManager adds to Tekgate's own objects the requests, which ask cert-manager for
// the servers' certificates, and configures the servers to use them. If issuer is not nil
// it replaces the issuer that the requests include. host is an address at which a server
// outside the cluster is called, in addition to its Service; "" for none.
func UseCertManager(
	own, requests []*unstructured.Unstructured,
	issuer *Issuer,
	host string,
) ([]*unstructured.Unstructured, error) {
	issued := map[string]bool{} // names of Certificates
	for _, obj := range requests {
		if issuer != nil && obj.GetKind() == cmv1.IssuerKind {
			continue
		}
		certificate, err := asCertificate(obj)
		if err != nil {
			return nil, err
		}
		if issuer != nil && certificate != nil && certificate.Spec.IsCA {
			continue
		}
		if certificate != nil {
			issued[obj.GetName()] = true
			err = complete(obj, certificate, issuer, host)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
		own = append(own, obj)
	}
	for _, obj := range own {
		secret := obj.GetName() + "-tls"
		if obj.GetKind() != "Deployment" || !issued[secret] {
			continue
		}
		if err := addArgument(obj, "--certificate-secret="+secret); err != nil {
			return nil, fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
	}
	return own, nil
}

// asCertificate returns a Certificate of cert-manager's, or nil if obj is not one.
func asCertificate(obj *unstructured.Unstructured) (*cmv1.Certificate, error) {
	if !isCertificate(obj) {
		return nil, nil
	}
	certificate := &cmv1.Certificate{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, certificate); err != nil {
		return nil, fmt.Errorf("reading %s: %w", kube.Name(obj), err)
	}
	return certificate, nil
}

func isCertificate(obj *unstructured.Unstructured) bool {
	kind := obj.GroupVersionKind()
	return kind.Group == certmanager.GroupName && kind.Kind == cmv1.CertificateKind
}

// complete sets the issuer and the host of a server's Certificate. It writes only these
// fields to obj: the type would write durations such as 2160h in another form.
func complete(obj *unstructured.Unstructured, certificate *cmv1.Certificate, issuer *Issuer, host string) error {
	if certificate.Spec.IsCA {
		return nil
	}
	if issuer != nil {
		reference := issuer.reference()
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&reference)
		if err != nil {
			return err
		}
		if err := unstructured.SetNestedMap(obj.Object, fields, "spec", "issuerRef"); err != nil {
			return err
		}
	}
	switch {
	case host == "" || obj.GetName() != wellknown.WebhookTLS:
		return nil
	case net.ParseIP(host) != nil:
		return unstructured.SetNestedStringSlice(
			obj.Object,
			append(certificate.Spec.IPAddresses, host),
			"spec",
			"ipAddresses",
		)
	}
	return unstructured.SetNestedStringSlice(obj.Object, append(certificate.Spec.DNSNames, host), "spec", "dnsNames")
}

// addArgument adds an argument to the only container of a Deployment.
func addArgument(deployment *unstructured.Unstructured, argument string) error {
	containers := live.Containers(deployment)
	if len(containers) != 1 {
		return fmt.Errorf("it has %d containers, and the arguments belong to one", len(containers))
	}
	args, _ := containers[0]["args"].([]any)
	containers[0]["args"] = append(args, argument)
	return unstructured.SetNestedSlice(
		deployment.Object,
		[]any{containers[0]},
		"spec",
		"template",
		"spec",
		"containers",
	)
}

// waitCertificates waits until cert-manager has issued the certificates that the changes
// request. Until then the servers use the certificates that they have.
func (r *run) waitCertificates(ctx context.Context, changes []*Change) error {
	requests := slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool { return !isCertificate(c.Desired) })
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, requests, func(current *unstructured.Unstructured) (string, error) {
			certificate, err := asCertificate(current)
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
	certificate, err := asCertificate(removed)
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
