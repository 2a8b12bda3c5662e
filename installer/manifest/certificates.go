package manifest

import (
	"fmt"
	"net"

	"github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	cmv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

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
		certificate, err := AsCertificate(obj)
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

// AsCertificate returns a Certificate of cert-manager's, or nil if obj is not one.
func AsCertificate(obj *unstructured.Unstructured) (*cmv1.Certificate, error) {
	if !IsCertificate(obj) {
		return nil, nil
	}
	certificate := &cmv1.Certificate{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, certificate); err != nil {
		return nil, fmt.Errorf("reading %s: %w", kube.Name(obj), err)
	}
	return certificate, nil
}

// IsCertificate reports whether obj is a Certificate of cert-manager's.
func IsCertificate(obj *unstructured.Unstructured) bool {
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
