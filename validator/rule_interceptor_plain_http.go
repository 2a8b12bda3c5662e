package validator

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

var interceptorPlainHTTPRule = &Rule{
	ID:       "interceptor-plain-http",
	Severity: Warning,
	Kinds:    anyInterceptor,
	Doc: `Finds ClusterInterceptors and Interceptors that are asked over plain HTTP: those with an
http URL, and those with a Service and neither a caBundle nor the label
` + "`server/type: https`" + `.

Whoever can answer in place of the Pod decides then which events may continue, and reads
their headers, tokens included. Tekton decides by the caBundle alone whether it speaks
HTTP or HTTPS to a Service, whatever the port (ResolveAddress in
pkg/apis/triggers/v1alpha1/cluster_interceptor_types.go of Tekton Triggers v0.37.0).

With the label, the caBundle is that of interceptor-ca-bundle.`,
	Check: checkInterceptorPlainHTTP,
}

func checkInterceptorPlainHTTP(_ context.Context, p *Pass) {
	c := clientOf(p)
	switch {
	case c.url != "":
		if parsed, err := url.Parse(c.url); err == nil && parsed.Scheme == "http" {
			p.Report("spec.clientConfig.url", "events, tokens included, and the verdict on them cross the network in the clear: serve HTTPS and write service with name, namespace and path, a caBundle and the label server/type: https")
		}
	case c.service != nil && c.bundle == "" && !c.labelled:
		port, _ := number(c.service["port"])
		if port == 443 || port == 8443 {
			p.Report("spec.clientConfig.service", "without a caBundle Tekton speaks plain HTTP, to port %d too, where TLS is expected: add caBundle and the label server/type: https", port)
			return
		}
		p.Report("spec.clientConfig.service", "without a caBundle Tekton asks this Service over plain HTTP, tokens included: serve HTTPS, then add caBundle and the label server/type: https in one update")
	}
}

// interceptorClient is how an interceptor is asked.
type interceptorClient struct {
	url      string
	service  map[string]any
	bundle   string // as it is written
	labelled bool   // with server/type: https
}

func clientOf(p *Pass) interceptorClient {
	var r object.Reader
	config := r.Fields(r.Fields(p.Object, "spec"), "clientConfig")
	labels := r.Fields(r.Fields(p.Object, "metadata"), "labels")
	return interceptorClient{
		url: r.Text(config, "url"), service: r.Fields(config, "service"), bundle: r.Text(config, "caBundle"),
		labelled: r.Text(labels, "server/type") == "https",
	}
}

var interceptorCABundleRule = &Rule{
	ID:       "interceptor-ca-bundle",
	Severity: Warning,
	Kinds:    anyInterceptor,
	Doc: `Finds ClusterInterceptors and Interceptors whose caBundle and label ` + "`server/type: https`" + ` do not
fit together, and those whose caBundle holds no certificate.

An EventListener trusts the caBundles of labelled interceptors and nothing else, not
even the system's certificates, and stops when a labelled one has none or a bad one: one
such object stops every EventListener in the cluster (getCertFromInterceptor in
pkg/adapter/adapter.go of Tekton Triggers v0.37.0).

Those of the release itself, and Tekgate's, fill in their caBundle themselves and pass.`,
	Check: checkInterceptorCABundle,
}

func checkInterceptorCABundle(_ context.Context, p *Pass) {
	c := clientOf(p)
	name := Subject{Fields: p.Object}.Name()
	https := strings.HasPrefix(c.url, "https:")
	switch {
	case c.labelled && c.bundle == "" && (p.Kind.Kind == "Interceptor" || !slices.Contains(CoreInterceptors, name)):
		p.Report("metadata.labels[server/type]", "with this label and no caBundle %s stops until there is one: add spec.clientConfig.caBundle in the same update", p.listenersOf())
	case !c.labelled && c.bundle != "" && isBundle(c.bundle):
		p.Report("spec.clientConfig.caBundle", "EventListeners trust the caBundle only of an interceptor with the label server/type: https, so each call fails its TLS handshake: add the label")
	case https && c.bundle == "" && !c.labelled:
		p.Report("spec.clientConfig.url", "EventListeners trust no certificates but those in caBundles, so each call fails its TLS handshake: add caBundle and the label server/type: https in one update")
	}
}

// listenersOf are those that an interceptor stops.
func (p *Pass) listenersOf() string {
	if p.Kind.Kind == "Interceptor" {
		return "every EventListener in the namespace"
	}
	return "every EventListener in the cluster"
}

var interceptorBadCABundleRule = &Rule{
	ID:       "interceptor-bad-ca-bundle",
	Severity: Error,
	Kinds:    anyInterceptor,
	Doc: `Finds ClusterInterceptors and Interceptors whose caBundle holds no certificate: it is not
base64, or what it encodes is not PEM.

Where the label ` + "`server/type: https`" + ` is set, one such object stops every EventListener in the
cluster (getCertFromInterceptor in pkg/adapter/adapter.go of Tekton Triggers v0.37.0);
where it is not, the interceptor alone fails.`,
	Check: checkInterceptorBadCABundle,
}

func checkInterceptorBadCABundle(_ context.Context, p *Pass) {
	c := clientOf(p)
	switch {
	case c.bundle == "" || isBundle(c.bundle):
	case c.labelled:
		p.Report("spec.clientConfig.caBundle", "the caBundle holds no certificate, so %s stops: write the CA's certificate as PEM in base64", p.listenersOf())
	default:
		p.Report("spec.clientConfig.caBundle", "the caBundle holds no certificate, so no call to this interceptor can succeed: write the CA's certificate as PEM in base64")
	}
}

// isBundle tells whether a text is certificates in PEM in base64.
func isBundle(encoded string) bool {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && x509.NewCertPool().AppendCertsFromPEM(raw)
}
