package triggers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var tokenToAnyHostRule = &rule.Rule{
	ID:       "token-to-any-host",
	Severity: rule.Warning,
	Kinds:    rule.WithTriggers,
	Doc: `Finds interceptors github that ask GitHub with a personalAccessToken, for addChangedFiles
or githubOwners, in a trigger where nothing holds the header X-GitHub-Enterprise-Host to a
host.

The interceptor sends the token to the host that this header names
(makeClient in pkg/interceptors/github/github.go of Tekton Triggers v0.37.0), and a
signature covers the payload alone: whoever replays a signed delivery, or sends one where
secretRef is missing, chooses who gets the token.

A CEL filter that mentions the header lets it pass if it stands before the interceptor, as in
` + "`!('X-Github-Enterprise-Host' in header)`" + `.`,
	Check: checkTokenToAnyHost,
}

const enterpriseHost = "x-github-enterprise-host"

func checkTokenToAnyHost(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, t := range chainsIn(p) {
		for _, in := range walk.InterceptorsIn(t) {
			if slices.ContainsFunc(celExpressions(in), func(e rule.Text) bool {
				return strings.Contains(strings.ToLower(e.Value), enterpriseHost)
			}) {
				break // those after it are guarded
			}
			for _, given := range orderedParams(in) {
				value, _ := given.Value.(map[string]any)
				if coreName(in) == "github" && value["personalAccessToken"] != nil && r.Flag(value, "enabled") {
					p.Report(given.Path+".value.personalAccessToken",
						"interceptor github sends this token to the host in the header X-GitHub-Enterprise-Host, which no signature covers: put a CEL filter on that header before it")
				}
			}
		}
	}
}
