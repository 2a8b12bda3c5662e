package triggers

import (
	"context"
	"net/url"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var interceptorPlainHTTPRule = &rule.Rule{
	ID:       "interceptor-plain-http",
	Severity: rule.Warning,
	Kinds:    rule.AnyInterceptor,
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

func checkInterceptorPlainHTTP(_ context.Context, p *rule.Pass) {
	c := clientOf(p)
	switch {
	case c.url != "":
		if parsed, err := url.Parse(c.url); err == nil && parsed.Scheme == "http" {
			p.Report("spec.clientConfig.url",
				"events, tokens included, and the verdict on them cross the network in the clear: serve HTTPS and write service with name, namespace and path, a caBundle and the label server/type: https")
		}
	case c.service != nil && c.bundle == "" && !c.labelled:
		port, _ := rule.Number(c.service["port"])
		if port == 443 || port == 8443 {
			p.Report("spec.clientConfig.service",
				"without a caBundle Tekton speaks plain HTTP, to port %d too, where TLS is expected: add caBundle and the label server/type: https",
				port)
			return
		}
		p.Report("spec.clientConfig.service",
			"without a caBundle Tekton asks this Service over plain HTTP, tokens included: serve HTTPS, then add caBundle and the label server/type: https in one update")
	}
}

// interceptorClient is how an interceptor is asked.
type interceptorClient struct {
	url      string
	service  map[string]any
	bundle   string // as it is written
	labelled bool   // with server/type: https
}

func clientOf(p *rule.Pass) interceptorClient {
	var r object.Reader
	config := r.Fields(r.Fields(p.Object, "spec"), "clientConfig")
	labels := r.Fields(r.Fields(p.Object, "metadata"), "labels")
	return interceptorClient{
		url: r.Text(config, "url"), service: r.Fields(config, "service"), bundle: r.Text(config, "caBundle"),
		labelled: r.Text(labels, "server/type") == "https",
	}
}
