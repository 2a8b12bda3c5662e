// Package sources has the rules about where Tasks and Pipelines come from.
package sources

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/validator/rule"
)

// TrustRules are about where Tasks and Pipelines come from, and what a house wants to
// see in what it runs. But for the first three they are policies, which do nothing until the
// configuration switches them on.
//
// They judge what the object itself says. Whether a bundle is signed, whether an
// attestation says that it has no vulnerabilities, and whether a newer one has been
// published, only a registry and a key can tell: that belongs to Tekton's own
// VerificationPolicy, to Chains and to sigstore's policy-controller, and no rule here
// pretends to it. What a run attests to have done can be held to a policy after the run
// alone.
//
// TaskRuns that a PipelineRun owns are not held to what their PipelineRun has been held
// to already: see rule.Pass.OfPipelineRun.
var TrustRules = []*rule.Rule{
	resolverParamsRule,
	resolverValuesRule,
	unknownResolverRule,
	resolverRequiredRule,
	resolverNotAllowedRule,
	resolverHostRule,
	clusterResolverNamespaceRule,
	bundleNotPinnedRule,
	bundleWithoutTagRule,
	bundleRepositoryRule,
	revisionNotPinnedRule,
	gitRevisionRule,
	requiredTaskRule,
	requiredResultRule,
	paramPolicyRule,
	runParamNotAllowedRule,
	existingClaimRule,
	freezeRule,
	sourceBranchRule,
}

// TrustPolicy holds the lists of TrustRules. An empty list says nothing, and its rule
// finds nothing then. In names, * stands for any characters but a slash.
type TrustPolicy struct {
	// AllowInline lets resolver-required pass what a run or pipeline writes out.
	AllowInline bool `json:"allowInline,omitempty"`
	// Resolvers are those that may be used; see resolver-not-allowed.
	Resolvers []string `json:"resolvers,omitempty"`
	// BannedResolvers are those that may not.
	BannedResolvers []string `json:"bannedResolvers,omitempty"`
	// ResolverHosts are the hosts that the git and http resolvers may fetch from.
	ResolverHosts []string `json:"resolverHosts,omitempty"`
	// ClusterNamespaces are those that the cluster resolver may take from.
	ClusterNamespaces []string `json:"clusterNamespaces,omitempty"`
	// BundleRepositories are hosts, or hosts with the beginning of a path, such as
	// registry.example.com/tasks, which bundles may come from.
	BundleRepositories []string `json:"bundleRepositories,omitempty"`
	// RequiredTasks are Tasks that each pipeline must run.
	RequiredTasks []string `json:"requiredTasks,omitempty"`
	// RequiredResults are results that each pipeline must have.
	RequiredResults []string `json:"requiredResults,omitempty"`
	// Params says what some params may be; see param-policy.
	Params []ParamPolicy `json:"params,omitempty"`
	// RunParams are the params that a PipelineRun may give.
	RunParams []string `json:"runParams,omitempty"`
	// Freeze is when no run may start.
	Freeze Freeze `json:"freeze,omitzero"`
	// Branches are those that a run may be made for.
	Branches []string `json:"branches,omitempty"`
	// BranchKeys are the annotations or labels that say a run's branch; the first that
	// is there counts. Empty means that of Pipelines-as-Code.
	BranchKeys []string `json:"branchKeys,omitempty"`
}

// ParamPolicy says what a param may be, such as hermetic: "true".
type ParamPolicy struct {
	Name     string   `json:"name"`
	Values   []string `json:"values,omitempty"`   // empty means any
	Required bool     `json:"required,omitempty"` // whether each PipelineRun must give it
}

// Freeze is when no run may start.
type Freeze struct {
	Weekdays []string `json:"weekdays,omitempty"` // saturday
	// Dates are days or spans of them, both ends included: 2026-12-24 or
	// 2026-12-24/2027-01-02.
	Dates []string `json:"dates,omitempty"`
	// UTCOffset is what the days begin by, such as +08:00. Empty means UTC.
	UTCOffset string `json:"utcOffset,omitempty"`
}

// Validate reports each problem with the path of its field in the policy.
func (p TrustPolicy) Validate() error {
	found := []error{problems.Prefix("freeze.", p.Freeze.validate())}
	found = append(found,
		rule.CheckPatterns("resolvers", p.Resolvers), rule.CheckPatterns("bannedResolvers", p.BannedResolvers),
		rule.CheckPatterns("resolverHosts", p.ResolverHosts),
		rule.CheckPatterns("clusterNamespaces", p.ClusterNamespaces),
		rule.CheckPatterns("requiredTasks", p.RequiredTasks), rule.CheckPatterns("requiredResults", p.RequiredResults),
		rule.CheckPatterns("runParams", p.RunParams), rule.CheckPatterns("branches", p.Branches))
	for i, repository := range p.BundleRepositories {
		if repository == "" || strings.ContainsAny(repository, "*@ ") || strings.Contains(repository, "://") {
			found = append(found,
				fmt.Errorf("bundleRepositories[%d]: %q is not the beginning of a repository: write one such as registry.example.com/tasks",
					i, repository))
		}
	}
	for i, param := range p.Params {
		if param.Name == "" || (len(param.Values) == 0 && !param.Required) {
			found = append(found, fmt.Errorf("params[%d]: says nothing: write a name, and values or required", i))
		}
	}
	return errors.Join(found...)
}

func (f Freeze) validate() error {
	var problems []error
	for i, day := range f.Weekdays {
		if !slices.ContainsFunc(weekdays, func(d time.Weekday) bool { return strings.EqualFold(d.String(), day) }) {
			problems = append(problems, fmt.Errorf("weekdays[%d]: %q is not a day: write monday, tuesday, …", i, day))
		}
	}
	for i, text := range f.Dates {
		if _, _, err := parseDates(text); err != nil {
			problems = append(problems, fmt.Errorf("dates[%d]: %w", i, err))
		}
	}
	if _, err := f.location(); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

var weekdays = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday,
	time.Sunday}

// location is a fixed distance from UTC: the names of zones need a database, which the
// server's image does not have.
func (f Freeze) location() (*time.Location, error) {
	if f.UTCOffset == "" {
		return time.UTC, nil
	}
	at, err := time.Parse("-07:00", f.UTCOffset)
	if err != nil {
		return nil, fmt.Errorf("utcOffset: %q is not a distance from UTC: write one such as +08:00", f.UTCOffset)
	}
	return at.Location(), nil
}

// parseDates returns the first and the last day of a span.
func parseDates(text string) (first, last string, err error) {
	first, last, span := strings.Cut(text, "/")
	if !span {
		last = first
	}
	for _, day := range []string{first, last} {
		if _, err := time.Parse(time.DateOnly, day); err != nil {
			return "", "", fmt.Errorf("%q is not a day or a span of days: write 2026-12-24 or 2026-12-24/2027-01-02",
				text)
		}
	}
	if last < first {
		return "", "", fmt.Errorf("%q ends before it begins", text)
	}
	return first, last, nil
}
