package triggers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorCABundleRule = &rule.Rule{
	ID:       "interceptor-ca-bundle",
	Severity: rule.Warning,
	Kinds:    rule.AnyInterceptor,
	Doc: `Finds ClusterInterceptors and Interceptors whose caBundle and label ` + "`server/type: https`" + ` do not
fit together, and those whose caBundle holds no certificate.

An EventListener trusts the caBundles of labelled interceptors and nothing else, not
even the system's certificates, and stops when a labelled one has none or a bad one: one
such object stops every EventListener in the cluster (getCertFromInterceptor in
pkg/adapter/adapter.go of Tekton Triggers v0.37.0).

Those of the release itself, and Tekgate's, fill in their caBundle themselves and pass.`,
	Check: checkInterceptorCABundle,
}

func checkInterceptorCABundle(_ context.Context, p *rule.Pass) {
	c := clientOf(p)
	name := rule.NameOf(p.Object)
	https := strings.HasPrefix(c.url, "https:")
	switch {
	case c.labelled && c.bundle == "" &&
		(p.Kind.Kind == "Interceptor" || !slices.Contains(walk.CoreInterceptors, name)):
		p.Report("metadata.labels[server/type]",
			"with this label and no caBundle %s stops until there is one: add spec.clientConfig.caBundle in the same update",
			listenersOf(p))
	case !c.labelled && c.bundle != "" && isBundle(c.bundle):
		p.Report("spec.clientConfig.caBundle",
			"EventListeners trust the caBundle only of an interceptor with the label server/type: https, so each call fails its TLS handshake: add the label")
	case https && c.bundle == "" && !c.labelled:
		p.Report("spec.clientConfig.url",
			"EventListeners trust no certificates but those in caBundles, so each call fails its TLS handshake: add caBundle and the label server/type: https in one update")
	}
}

// listenersOf are those that an interceptor stops.
func listenersOf(p *rule.Pass) string {
	if p.Kind.Kind == "Interceptor" {
		return "every EventListener in the namespace"
	}
	return "every EventListener in the cluster"
}
