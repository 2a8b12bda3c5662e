package installer

import (
	"context"
	"fmt"
	"net"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	looks "github.com/tekgate/tekgate/installer/live"
)

// certManager is the group of cert-manager's kinds, in the version that is used.
var certManager = schema.GroupVersion{Group: "cert-manager.io", Version: "v1"}

// Issuer names one of cert-manager's: Kind is Issuer, which lives in Tekgate's
// namespace, or ClusterIssuer.
type Issuer struct{ Kind, Name string }

// ServesCertManager says whether the cluster serves the kinds that certificates take.
func (c *Cluster) ServesCertManager() (bool, error) {
	for _, kind := range []string{"Certificate", "Issuer"} {
		served, err := c.serves(certManager.WithKind(kind))
		if err != nil {
			return false, fmt.Errorf("asking the server for cert-manager's kinds: %w", err)
		}
		if !served {
			return false, nil
		}
	}
	return true, nil
}

// FindIssuer returns a finding where an issuer is not there that was named.
func (c *Cluster) FindIssuer(ctx context.Context, issuer Issuer) ([]Finding, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(certManager.WithKind(issuer.Kind))
	obj.SetName(issuer.Name)
	if issuer.Kind != "ClusterIssuer" {
		obj.SetNamespace(Namespace)
	}
	live, err := c.live(ctx, obj)
	if err != nil || live != nil {
		return nil, ignoreForbidden(err)
	}
	return []Finding{{"certificates", true, "certificates.issuerRef names " + name(obj) + ", which does not exist", "create it first, or leave issuerRef out to have one made"}}, nil
}

// UseCertManager adds to Tekgate's own objects those that ask cert-manager for its
// servers' certificates, and tells the servers to use them. An issuer, where it is not
// nil, takes the place of the one that the requests bring. A host is an address at
// which a server outside the cluster is called beside its Service.
func UseCertManager(own, requests []*unstructured.Unstructured, issuer *Issuer, host string) ([]*unstructured.Unstructured, error) {
	for _, obj := range requests {
		if issuer != nil && (obj.GetKind() == "Issuer" || isAuthority(obj)) {
			continue
		}
		if err := ask(obj, issuer, host); err != nil {
			return nil, fmt.Errorf("%s: %w", name(obj), err)
		}
		own = append(own, obj)
	}
	for _, obj := range own {
		secret := obj.GetName() + "-tls"
		if obj.GetKind() != "Deployment" || !slices.ContainsFunc(requests, func(r *unstructured.Unstructured) bool { return isCertificate(r) && r.GetName() == secret }) {
			continue
		}
		if err := addArgument(obj, "--certificate-secret="+secret); err != nil {
			return nil, fmt.Errorf("%s: %w", name(obj), err)
		}
	}
	return own, nil
}

func isCertificate(obj *unstructured.Unstructured) bool {
	kind := obj.GroupVersionKind()
	return kind.Group == certManager.Group && kind.Kind == "Certificate"
}

func isAuthority(obj *unstructured.Unstructured) bool {
	ca, _, _ := unstructured.NestedBool(obj.Object, "spec", "isCA")
	return isCertificate(obj) && ca
}

// ask fills a request in.
func ask(obj *unstructured.Unstructured, issuer *Issuer, host string) error {
	if !isCertificate(obj) || isAuthority(obj) {
		return nil
	}
	if issuer != nil {
		ref := map[string]any{"group": certManager.Group, "kind": issuer.Kind, "name": issuer.Name}
		if err := unstructured.SetNestedMap(obj.Object, ref, "spec", "issuerRef"); err != nil {
			return err
		}
	}
	if host == "" || obj.GetName() != "tekgate-webhook-tls" {
		return nil
	}
	field := "dnsNames"
	if net.ParseIP(host) != nil {
		field = "ipAddresses"
	}
	names, _, err := unstructured.NestedStringSlice(obj.Object, "spec", field)
	if err != nil {
		return err
	}
	return unstructured.SetNestedStringSlice(obj.Object, append(names, host), "spec", field)
}

// addArgument gives one to the only container of a Deployment.
func addArgument(deployment *unstructured.Unstructured, argument string) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(deployment.Object, path...)
	if err != nil || len(containers) != 1 {
		return fmt.Errorf("it has %d containers, and the arguments belong to one", len(containers))
	}
	container, _ := containers[0].(map[string]any)
	args, _ := container["args"].([]any)
	container["args"] = append(args, argument)
	return unstructured.SetNestedSlice(deployment.Object, containers, path...)
}

// waitCertificates waits until cert-manager has issued what the changes ask for: while
// it does not, the servers go on with what they have.
func (r *run) waitCertificates(ctx context.Context, changes []*Change) error {
	requests := slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool { return !isCertificate(c.Desired) })
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, requests, func(live *unstructured.Unstructured) (string, error) {
			ready, why := looks.Issued(live)
			if ready {
				return "", nil
			}
			return name(live) + " to be issued by cert-manager (" + why + ")", nil
		})
	})
}

// removeIssued deletes the Secret of a Certificate that was removed, which cert-manager
// leaves, with the key in it. It is told by the label that the Certificate gave it.
func (r *run) removeIssued(ctx context.Context, certificate *unstructured.Unstructured) error {
	secretName, _, _ := unstructured.NestedString(certificate.Object, "spec", "secretName")
	if !isCertificate(certificate) || secretName == "" || !r.options.Wait {
		return nil // without waiting, old Pods may need it still
	}
	secret := &unstructured.Unstructured{}
	secret.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "Secret"})
	secret.SetNamespace(certificate.GetNamespace())
	secret.SetName(secretName)
	live, err := r.live(ctx, secret)
	if err != nil || live == nil || live.GetLabels()["app.kubernetes.io/part-of"] != "tekgate" {
		return err
	}
	if err := r.client.Delete(ctx, live); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s: %w", name(live), err)
	}
	return nil
}
