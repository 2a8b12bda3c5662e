package sources

import (
	"fmt"
	"net/url"

	"github.com/tekgate/tekgate/validator/rule"
)

// PatchRules refuse what makes use of published vulnerabilities of Tekton, for those
// who cannot upgrade today. What they refuse has no other use, so they refuse it in
// fixed releases too.
//
// They see what is written and what a run's own params fill in. What a Pipeline's
// params fill in they see when the controller creates the TaskRun. ResolutionRequests
// that somebody writes by hand they do not see at all: who may create them should be
// nobody but Tekton's controller.
//
// Not decided from the object, and so left out: the size of an answer to the http
// resolver (CVE-2026-40924, GHSA-m2cx-gpqf-qf74, fixed in v1.11.1), where only the
// hosts can be limited, see resolver-host; and unanchored patterns of a
// VerificationPolicy (CVE-2026-25542, GHSA-rmx9-2pp3-xhcr), which is no kind that is
// judged.
var PatchRules = []*rule.Rule{
	gitPathTraversalRule,
	gitArgumentInjectionRule,
	gitURLRule,
	gitTokenLeakRule,
	httpURLRule,
	resolverNodeAddressRule,
	unencryptedResolverRule,
	hubPathRule,
	resolverNameRule,
	tektonMountRule,
	subPathTraversalRule,
	forgedOwnerRule,
	oversizedParamRule,
}

// PatchPolicy holds the lists of PatchRules.
type PatchPolicy struct {
	// GitServers are the URLs of servers that the system's token of the git resolver
	// may be sent to, as in the param serverURL.
	GitServers []string `json:"gitServers,omitempty"`
	// MaxParamBytes bounds the text of one param of a run. 0 means 131071, which is
	// what Linux takes for one argument or variable (MAX_ARG_STRLEN).
	MaxParamBytes int `json:"maxParamBytes,omitempty"`
}

// Validate reports each problem with the path of its field in the policy.
func (p PatchPolicy) Validate() error {
	for i, server := range p.GitServers {
		if u, err := url.Parse(server); err != nil || u.Scheme == "" || u.Host == "" {
			return fmt.Errorf("gitServers[%d]: %q is not a URL: write one such as https://git.example.com", i, server)
		}
	}
	if p.MaxParamBytes < 0 {
		return fmt.Errorf("maxParamBytes: it cannot be negative: write 0 for what Linux takes")
	}
	return nil
}
