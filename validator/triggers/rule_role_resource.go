package triggers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

var roleResourceRule = &rule.Rule{
	ID:       "role-resource",
	Severity: rule.Warning,
	Files:    true,
	Kinds:    rule.Roles,
	Doc: `Finds resources in a Role or ClusterRole that none of its apiGroups has, such as task for tasks, or
eventlisteners under tekton.dev for triggers.tekton.dev, apiGroups with a version, such as tekton.dev/v1, wildcards
for subresources, such as pods/*, subresources that Tekton's kinds lack, and verbs in capitals. The API server accepts them, and they allow nothing.

Known are the resources of Kubernetes' core, of apps and batch, and of tekton.dev, triggers.tekton.dev and
resolution.tekton.dev, those of old releases among them. A rule with another group passes, except where the group is a misspelt
one of Tekton's that has the resource.`,
	Check: checkRoleResource,
}

// resolutionGroup is that of the requests to Tekton's resolvers.
const resolutionGroup = "resolution.tekton.dev"

// resourcesOf are the resources of API groups: of Kubernetes v1.37, Tekton Pipelines up to v1.15.1 and Triggers
// up to v0.37.0. Users and groups are not stored anywhere, but may be impersonated.
var resourcesOf = map[string][]string{
	"": {"bindings", "componentstatuses", "configmaps", "endpoints", "events", "limitranges", "namespaces", "nodes",
		"persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "replicationcontrollers",
		"resourcequotas", "secrets", "serviceaccounts", "services", "users", "groups"},
	"apps":  {"controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"},
	"batch": {"cronjobs", "jobs"},
	rule.TektonGroup: {"clustertasks", "conditions", "customruns", "pipelineresources", "pipelineruns", "pipelines",
		"runs", "stepactions", "taskruns", "tasks", "verificationpolicies"},
	resolutionGroup: {"resolutionrequests"},
	rule.TriggersGroup: {"clusterinterceptors", "clustertriggerbindings", "eventlisteners", "interceptors",
		"triggerbindings", "triggers", "triggertemplates"},
}

// knownGroups are those of resourcesOf in the order in which one is looked for.
var knownGroups = []string{rule.TektonGroup, rule.TriggersGroup, resolutionGroup, "", "apps", "batch"}

func checkRoleResource(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for i, one := range r.FieldsList(p.Object, "rules") {
		path := fmt.Sprintf("rules[%d]", i)
		groups := r.TextList(one, "apiGroups")
		for j, group := range groups {
			checkGroup(p, fmt.Sprintf("%s.apiGroups[%d]", path, j), group, r.TextList(one, "resources"))
		}
		for j, verb := range r.TextList(one, "verbs") {
			if lower := strings.ToLower(verb); lower != verb && slices.Contains(verbs, lower) {
				p.Report(fmt.Sprintf("%s.verbs[%d]", path, j), "verbs are in lower case, so %q allows nothing: write %q", verb,
					lower)
			}
		}
		for j, resource := range r.TextList(one, "resources") {
			checkResource(p, fmt.Sprintf("%s.resources[%d]", path, j), groups, resource)
		}
	}
}

// verbs are those of the API server.
var verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate",
	"bind", "escalate"}

// checkResource judges a resource of a rule for some groups.
func checkResource(p *rule.Pass, path string, groups []string, resource string) {
	base, sub, nested := strings.Cut(resource, "/")
	known := func(group string) bool { return resourcesOf[group] != nil }
	has := func(group string) bool { return hasResource(group, base) }
	tektons := func(group string) bool { return !has(group) || strings.HasSuffix(group, rule.TektonGroup) }
	switch {
	case nested && sub == "*":
		p.Report(path, "RBAC has no wildcard for subresources, so %q allows nothing: name each, such as %q", resource,
			base+"/status")
	case base == "*" || len(groups) == 0 || !allOf(groups, known):
	case !slices.ContainsFunc(groups, has):
		p.Report(path, "no kind of %s has the resource %q, so this allows nothing: %s", namesOf(groups), resource,
			resourceMeant(groups, base, strings.TrimPrefix(resource, base)))
	case nested && allOf(groups, tektons) && !slices.Contains([]string{"status", "finalizers"}, sub):
		p.Report(path, "Tekton's %s have no subresource %q, so this allows nothing: leave it out, or write %q", base, sub,
			base+"/status")
	}
}

func allOf(list []string, is func(string) bool) bool {
	return !slices.ContainsFunc(list, func(one string) bool { return !is(one) })
}

func hasResource(group, resource string) bool { return slices.Contains(resourcesOf[group], resource) }

// namesOf names groups as people do.
func namesOf(groups []string) string {
	names := make([]string, 0, len(groups))
	for _, group := range groups {
		if group == "" {
			group = "the core (\"\")"
		}
		names = append(names, group)
	}
	return strings.Join(names, " or ")
}

// resourceMeant says what to write for a resource that no group has; sub is its subresource with the slash.
func resourceMeant(groups []string, resource, sub string) string {
	lower := strings.ToLower(resource)
	for _, group := range groups {
		for _, plural := range []string{lower, lower + "s", strings.TrimSuffix(lower, "y") + "ies"} {
			if hasResource(group, plural) {
				return fmt.Sprintf("did you mean %q?", plural+sub)
			}
		}
	}
	for _, group := range knownGroups {
		if hasResource(group, lower) {
			return fmt.Sprintf("it is one of apiGroup %q, so write a rule for that", group)
		}
	}
	var near []string
	for _, group := range groups {
		near = append(near, resourcesOf[group]...)
	}
	return suggest.DidYouMean(resource, near, "correct the name, or leave it out")
}

// checkGroup reports a group that cannot be one, or that is Tekton's but misspelt.
func checkGroup(p *rule.Pass, path, group string, resources []string) {
	name, version, versioned := strings.Cut(group, "/")
	switch {
	case versioned && version != "":
		p.Report(path, "%q is an apiVersion, and roles have groups, so this allows nothing: write %q", group, name)
	case group == "v1" || group == "core":
		p.Report(path, "the core's group has no name, so %q allows nothing: write \"\"", group)
	case resourcesOf[group] == nil && group != "*" && len(resources) > 0:
		meant := suggest.Closest(group, []string{rule.TektonGroup, rule.TriggersGroup, resolutionGroup})
		if meant != "" && allOf(resources, func(resource string) bool { return hasResource(meant, resource) }) {
			p.Report(path, "no kind of Tekton's is of the group %q, so this allows nothing: did you mean %q?", group, meant)
		}
	}
}
