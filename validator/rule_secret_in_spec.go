package validator

import (
	"context"
	"regexp"
	"strings"
)

var secretInSpecRule = &Rule{
	ID:       "secret-in-spec",
	Severity: Warning,
	Kinds:    withSteps,
	Doc: `Finds credentials that stand in an object in plain text, by their form: tokens of GitHub,
GitLab, npm, Slack and Docker Hub, AWS access keys, private keys, and passwords within
addresses.

Who may read Tasks and runs has them, and so have Git, backups and the results that
Tekton keeps. Put them into a Secret, and count them as known to others.

The message never holds the credential.`,
	Check: checkSecretInSpec,
}

// secretForms are texts that are nothing but credentials, with a part that each of
// them has and that is quick to look for.
var secretForms = []struct {
	what, part string
	form       *regexp.Regexp
}{
	{"a token of GitHub", "gh", regexp.MustCompile(`\bgh[pousr]_[A-Za-z0-9]{36,}\b`)},
	{"a token of GitHub", "github_pat_", regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{40,}`)},
	{"a token of GitLab", "glpat-", regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{20,}`)},
	{"a token of npm", "npm_", regexp.MustCompile(`\bnpm_[A-Za-z0-9]{36}\b`)},
	{"a token of Slack", "xox", regexp.MustCompile(`\bxox[abprs]-[0-9]{6,}-[A-Za-z0-9-]{10,}`)},
	{"a token of Docker Hub", "dckr_pat_", regexp.MustCompile(`\bdckr_pat_[A-Za-z0-9_-]{20,}`)},
	{"an access key of AWS", "AKIA", regexp.MustCompile(`\bAKIA[0-9A-Z]{16}\b`)},
	{"a private key", "PRIVATE KEY-----", regexp.MustCompile(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}`)},
	{"a password within an address", "://", regexp.MustCompile(`\bhttps?://[^/\s:@$"'<{*]+:[^/\s@$"'<{*]{3,}@[A-Za-z0-9]`)},
}

func checkSecretInSpec(_ context.Context, p *Pass) {
	for _, at := range textsIn(p.Object["spec"], "spec") {
		for _, credential := range secretForms {
			if strings.Contains(at.Value, credential.part) && credential.form.MatchString(at.Value) {
				p.Report(at.Path, "%s stands here in plain text, for all who may read the object: put it into a Secret, and have it replaced, since others may know it", credential.what)
			}
		}
	}
}
