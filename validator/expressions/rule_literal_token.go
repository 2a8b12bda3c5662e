package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var literalTokenRule = &rule.Rule{
	ID:       "literal-token",
	Severity: rule.Error,
	Kinds:    rule.Everything,
	Doc: `Finds credentials that stand in an object in plain text and show by their form what they
are: tokens of GitHub, GitLab, Slack, npm, PyPI, Docker Hub and Vault, keys of Google and
Stripe, JSON Web Tokens, private keys, and URLs with a password.

Whoever may read TaskRuns or TriggerTemplates may read them, they stay in what is
archived, in Git and in etcd, and a step's Pod shows them once more. Put the credential
into a Secret, refer to it, and revoke the one that was written here: it has been read.

The credential itself is never shown. What is written as an example passes. What has no
form of its own is found by literal-password.`,
	Check: checkLiteralToken,
}

func checkLiteralToken(_ context.Context, p *rule.Pass) {
	if p.Template != nil {
		return // found in the TriggerTemplate as a whole
	}
	for _, part := range []string{"metadata", "spec"} {
		if !rule.AnyText(p.Object[part], func(text string) bool { return tokenIn(text) != "" }) {
			continue
		}
		for _, text := range rule.TextsIn(p.Object[part], part) {
			if kind := tokenIn(text.Value); kind != "" {
				p.Report(text.Path,
					"%s stands here in plain text, and everybody who may read the object may use it: put it into a Secret, refer to that, and revoke this one",
					kind)
			}
		}
	}
}
