package containers

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var tlsVerificationOffRule = &rule.Rule{
	ID:       "tls-verification-off",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds what turns the verification of certificates off: flags of curl, wget, git, buildah,
podman, skopeo and kubectl in scripts and arguments; variables such as
GIT_SSL_NO_VERIFY; and parameters such as sslVerify and TLSVERIFY with the value false.

Whoever is between the node and the server can then read the credentials and change
what is fetched. Mount the certificate of the server's authority from a ConfigMap, and
name it: CURL_CA_BUNDLE, GIT_SSL_CAINFO, SSL_CERT_FILE, --cert-dir. The mutator's rule ca-bundle
does that for steps that build images, and for those that you select.

Kaniko's flags are the matter of the rule kaniko-insecure. Comments and what echo
prints pass.`,
	Check: checkTLSVerificationOff,
}

var (
	tlsOffFlag = lazyregexp.New(`--(?:\w+-)?tls-verify=false\b|--insecure-skip-tls-verify(?:=true\b|\s|["')]|$)|--no-check-certificate\b` +
		`|\bhttp\.sslVerify["']?[ =]+["']?false\b|\bcurl\s(?:[^|;&\n]*\s)?(?:-[A-Za-z]*k[A-Za-z]*|--insecure)(?:\s|["')]|$)` +
		`|\b(?:GIT_SSL_NO_VERIFY=["']?(?:1|true)|NODE_TLS_REJECT_UNAUTHORIZED=["']?0)\b`)
	tlsOffParam    = lazyregexp.New(`(?i)(?:ssl|tls)[-_]?verify$`)
	tlsOffNegation = lazyregexp.New(`(?i)skip|insecure|disable|no[-_]`)
	// tlsOffEnv are variables, with the values that turn verification off.
	tlsOffEnv = map[string][]string{
		"GIT_SSL_NO_VERIFY": {"1", "true"}, "NODE_TLS_REJECT_UNAUTHORIZED": {"0"}, "PYTHONHTTPSVERIFY": {"0"},
	}
)

func checkTLSVerificationOff(_ context.Context, p *rule.Pass) {
	const remedy = "so whoever is between can read the credentials and change what is fetched: mount the server's CA and name it instead"
	for _, param := range allParams(p) {
		if value, _ := param.Value.(string); value == "false" && tlsOffParam.MatchString(param.Name) &&
			!tlsOffNegation.MatchString(param.Name) {
			p.Report(param.Path, "parameter %q turns the verification of certificates off, %s", param.Name, remedy)
		}
	}
	var r object.Reader
	for _, c := range containersIn(p) {
		for _, at := range programsOf(c) {
			if tlsOffFlag.MatchString(uncommented(at.Value)) {
				p.Report(at.Path, "%s does not verify the certificate of a server, %s", c.Unit, remedy)
			}
		}
		for i, env := range r.FieldsList(c.Fields, "env") {
			if name := r.Text(env, "name"); slices.Contains(tlsOffEnv[name], r.Text(env, "value")) {
				p.Report(fmt.Sprintf("%s.env[%d]", c.Path, i),
					"variable %s turns the verification of certificates off, %s",
					name, remedy)
			}
		}
	}
}
