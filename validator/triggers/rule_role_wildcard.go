package triggers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var roleWildcardRule = &rule.Rule{
	ID:       "role-wildcard",
	Severity: rule.Warning,
	Files:    true,
	Kinds:    rule.Roles,
	Doc: `Finds * for resources or apiGroups in a Role or ClusterRole, where a binding in the files gives it to the
ServiceAccount of an EventListener, a Trigger or a run, itself or by a group. Of the core it includes Secrets, pods/exec and the
tokens of all ServiceAccounts of the namespace, and it grows with each CRD that is installed. For verbs
alone * is a hint: it includes delete, and the verbs escalate, bind and impersonate.

account-too-strong finds what an account may do in the whole cluster.`,
	Check: checkRoleWildcard,
}

func checkRoleWildcard(_ context.Context, p *rule.Pass) {
	var r object.Reader
	var user string
	for i, one := range r.FieldsList(p.Object, "rules") {
		for _, field := range []string{"apiGroups", "resources", "verbs"} {
			if !slices.Contains(r.TextList(one, field), "*") {
				continue
			}
			if user == "" {
				user = userOf(p)
			}
			if user == "" {
				return
			}
			finding := p.Report(fmt.Sprintf("rules[%d].%s", i, field),
				"* stands for all %s, and %s has this %s: list those that are needed", field, user, p.Kind.Kind)
			if field == "verbs" {
				finding.Severity = rule.Info
			}
			break
		}
	}
}

// userOf names an account of Tekton's objects to which a binding gives the role, "" for none.
func userOf(p *rule.Pass) string {
	var r object.Reader
	namespace := p.Namespace
	if p.Kind.Kind == "ClusterRole" {
		namespace = ""
	}
	for _, kind := range []string{"RoleBinding", "ClusterRoleBinding"} {
		for _, binding := range p.Files.All(schema.GroupKind{Group: p.Kind.Group, Kind: kind}, namespace) {
			ref := r.Fields(binding, "roleRef")
			if r.Text(ref, "kind") != p.Kind.Kind || r.Text(ref, "name") != rule.NameOf(p.Object) {
				continue
			}
			if user := userIn(p.Files, binding); user != "" {
				return user
			}
		}
	}
	return ""
}

// userIn names the first account of Tekton's objects that a binding binds.
func userIn(files rule.Files, binding map[string]any) string {
	var r object.Reader
	for _, subject := range r.FieldsList(binding, "subjects") {
		namespace, name, all := accountsBound(subject, r.Text(r.Fields(binding, "metadata"), "namespace"))
		if name == "" && !all {
			continue
		}
		user := usedBy(files, namespace, name)
		switch {
		case user == "":
		case all:
			return fmt.Sprintf("group %q, which has the ServiceAccount of %s,", r.Text(subject, "name"), user)
		default:
			return fmt.Sprintf("ServiceAccount %q of %s", name, user)
		}
	}
	return ""
}

// accountsBound returns the ServiceAccount that a subject of a binding stands for, or the namespace of all those
// that it stands for, "" for each.
func accountsBound(subject map[string]any, own string) (namespace, name string, all bool) {
	var r object.Reader
	name = r.Text(subject, "name")
	switch r.Text(subject, "kind") {
	case rbacv1.ServiceAccountKind:
		return cmp.Or(r.Text(subject, "namespace"), own), name, false
	case rbacv1.UserKind:
		rest, is := strings.CutPrefix(name, "system:serviceaccount:")
		namespace, name, _ = strings.Cut(rest, ":")
		if is {
			return namespace, name, false
		}
	case rbacv1.GroupKind:
		rest, is := strings.CutPrefix(name, "system:serviceaccounts:")
		switch {
		case is && rest != "":
			return rest, "", true
		case name == "system:serviceaccounts", name == "system:authenticated":
			return "", "", true
		}
	}
	return "", "", false
}

// usedBy names an object of Tekton's that runs as an account, "" for any, or returns "" for none.
func usedBy(files rule.Files, namespace, account string) string {
	for _, kind := range []schema.GroupKind{
		{Group: rule.TriggersGroup, Kind: "EventListener"}, {Group: rule.TriggersGroup, Kind: "Trigger"},
		{Group: rule.TriggersGroup, Kind: "TriggerTemplate"},
		{Group: rule.TektonGroup, Kind: "PipelineRun"}, {Group: rule.TektonGroup, Kind: "TaskRun"},
	} {
		for _, fields := range files.All(kind, namespace) {
			if account == "" || slices.Contains(accountsOf(kind, fields), account) {
				return fmt.Sprintf("%s %q", kind.Kind, rule.NameOf(fields))
			}
		}
	}
	return ""
}

// accountsOf returns the names of the ServiceAccounts that an object runs as, or lets run.
func accountsOf(kind schema.GroupKind, fields map[string]any) []string {
	var r object.Reader
	var names []string
	runs := []map[string]any{fields}
	if kind.Group == rule.TriggersGroup {
		p := &rule.Pass{Object: fields, Kind: kind.WithVersion("v1beta1")}
		specs := []map[string]any{r.Fields(fields, "spec")}
		if kind.Kind != "TriggerTemplate" {
			for _, account := range triggerAccounts(p) {
				names = append(names, account.Name)
			}
			for _, t := range walk.TriggersIn(p) {
				specs = append(specs, r.Fields(r.Fields(t.Fields, "template"), "spec"))
			}
		}
		for _, spec := range specs {
			for _, t := range resourceTemplates(spec, "") {
				runs = append(runs, t.Fields)
			}
		}
	}
	for _, run := range runs {
		for _, account := range object.AccountsOf(run) {
			names = append(names, account.Name)
		}
	}
	return names
}
