package triggers

import (
	"context"
	"crypto/x509"
	"encoding/base64"

	"github.com/tekgate/tekgate/validator/rule"
)

var interceptorBadCABundleRule = &rule.Rule{
	ID:       "interceptor-bad-ca-bundle",
	Severity: rule.Error,
	Kinds:    rule.AnyInterceptor,
	Doc: `Finds ClusterInterceptors and Interceptors whose caBundle holds no certificate: it is not
base64, or what it encodes is not PEM.

Where the label ` + "`server/type: https`" + ` is set, one such object stops every EventListener in the
cluster (getCertFromInterceptor in pkg/adapter/adapter.go of Tekton Triggers v0.37.0);
where it is not, the interceptor alone fails.`,
	Check: checkInterceptorBadCABundle,
}

func checkInterceptorBadCABundle(_ context.Context, p *rule.Pass) {
	c := clientOf(p)
	switch {
	case c.bundle == "" || isBundle(c.bundle):
	case c.labelled:
		p.Report("spec.clientConfig.caBundle",
			"the caBundle holds no certificate, so %s stops: write the CA's certificate as PEM in base64",
			listenersOf(p))
	default:
		p.Report("spec.clientConfig.caBundle",
			"the caBundle holds no certificate, so no call to this interceptor can succeed: write the CA's certificate as PEM in base64")
	}
}

// isBundle tells whether a text is certificates in PEM in base64.
func isBundle(encoded string) bool {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && x509.NewCertPool().AppendCertsFromPEM(raw)
}
