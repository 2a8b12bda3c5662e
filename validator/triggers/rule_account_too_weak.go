package triggers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var accountTooWeakRule = &rule.Rule{
	ID:       "account-too-weak",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds ServiceAccounts that may not do what is asked of them: that of an EventListener has
to list and watch Triggers' objects in its namespace, or in all of them if it has a namespaceSelector, and
ClusterTriggerBindings and ClusterInterceptors in the whole cluster; to create what the templates hold, and
to impersonate the ServiceAccounts that triggers name; those have to create what their templates hold.

An EventListener that may not list does not become ready; one that may not create answers
202 and writes a line into the log of its Pod (asked for in tektoncd/triggers#161). The
ClusterRoles tekton-triggers-eventlistener-roles and -clusterroles have what is needed.

Without a cluster, Roles, ClusterRoles and their bindings in the files decide, bindings of the groups of
ServiceAccounts among them. Nothing is said about an account that no binding in the files names, about
roles that are not in the files (but for cluster-admin and the two of Triggers, as v0.37.0 has them) or gather rules by labels, and about other namespaces where
no binding in the files names the account. If some of an account's bindings are in no file, write
` + "`elsewhere: {RoleBinding: [\"*\"], ClusterRoleBinding: [\"*\"]}`" + ` into .tekgatelint, or one of the two.`,
	Check: checkAccountTooWeak,
}

func checkAccountTooWeak(ctx context.Context, p *rule.Pass) {
	own := accountPlace{}
	if p.Kind.Kind == "EventListener" && !listenerIsCustom(p) {
		own = listenerAccount(p)
	}
	if !mustAll(ctx, p, own, watching(p)) {
		return
	}
	var r object.Reader
	for _, t := range walk.TriggersIn(p) {
		resolved, known := resolve(ctx, p, t)
		if !known {
			continue
		}
		account := own
		if name := r.Text(resolved.Fields, "serviceAccountName"); name != "" {
			account = accountPlace{resolved.Path + ".serviceAccountName", name, t.Unit}
			mustAll(ctx, p, own, []rule.Access{{Verb: "impersonate", Resource: "serviceaccounts",
				Namespace: accountNamespace(p), Name: name}})
		}
		if !mustAll(ctx, p, account, creating(ctx, p, resolved)) {
			return
		}
	}
}

// watching is what an EventListener's informers read: in all namespaces if a selector names any
// (pkg/reconciler/eventlistener/resources/container.go of Tekton Triggers v0.37.0).
func watching(p *rule.Pass) []rule.Access {
	namespace := accountNamespace(p)
	if slices.ContainsFunc(selectorsIn(p), func(s selector) bool { return len(s.Namespaces) > 0 }) {
		namespace = ""
	}
	var all []rule.Access
	add := func(namespace string, resources ...string) {
		for _, resource := range resources {
			for _, verb := range []string{"list", "watch"} {
				all = append(all,
					rule.Access{Verb: verb, Group: rule.TriggersGroup, Resource: resource, Namespace: namespace})
			}
		}
	}
	add(namespace, "eventlisteners", "triggers", "triggerbindings", "triggertemplates", "interceptors")
	add("", "clustertriggerbindings", "clusterinterceptors")
	return all
}

// accountNamespace is that of the object's ServiceAccounts; files may leave it open.
func accountNamespace(p *rule.Pass) string { return cmp.Or(p.Namespace, rule.SomeNamespace) }

// creating is what a trigger's template asks for, as far as it is known.
func creating(ctx context.Context, p *rule.Pass, t walk.Trigger) []rule.Access {
	var r object.Reader
	template := r.Fields(t.Fields, "template")
	spec := r.Fields(template, "spec")
	if ref := r.Text(template, "ref"); ref != "" {
		found, err := p.Cluster.Get(ctx, schema.GroupKind{Group: rule.TriggersGroup, Kind: "TriggerTemplate"},
			p.Namespace, ref)
		if err != nil || found == nil {
			return nil // dangling-reference says so
		}
		spec = r.Fields(found, "spec")
	}
	var all []rule.Access
	for _, object := range resourceTemplates(spec, "") {
		kind := object.kind()
		namespace := r.Text(r.Fields(object.Fields, "metadata"), "namespace")
		if namespace == "" {
			namespace = accountNamespace(p)
		}
		if kind.Kind == "" || expression.Any(kind.String()+namespace) {
			continue
		}
		resource, _ := meta.UnsafeGuessKindToResource(kind)
		all = append(all,
			rule.Access{Verb: "create", Group: resource.Group, Resource: resource.Resource, Namespace: namespace})
	}
	return all
}

// mustAll reports what of it an account may not do, in one finding, and no two alike.
// It reports false where a look-up fails: then there is no use in asking again.
func mustAll(ctx context.Context, p *rule.Pass, account accountPlace, all []rule.Access) bool {
	if account.Name == "" || expression.Any(account.Name) {
		return true
	}
	who := rule.Account{Namespace: accountNamespace(p), Name: account.Name}
	var missing []rule.Access
	for _, access := range all {
		may, err := p.Cluster.May(ctx, who, access)
		switch {
		case errors.Is(err, rule.ErrUnknown):
			continue // of something else it may be known
		case err != nil:
			p.Unknown(account.Path, "asking what ServiceAccount "+strconv.Quote(account.Name)+" may do", err)
			return false
		case !may && !slices.Contains(missing, access):
			missing = append(missing, access)
		}
	}
	if len(missing) > 0 {
		mayNot(p, account, missing)
	}
	return true
}

// mayNot reports what an account may not do.
func mayNot(p *rule.Pass, account accountPlace, missing []rule.Access) {
	const most = 3
	var texts []string
	for i, access := range missing {
		if at := len(texts) - 1; i > 0 && sameButVerb(missing[i-1], access) {
			texts[at] = strings.Replace(texts[at], missing[i-1].Verb+" ", missing[i-1].Verb+" and "+access.Verb+" ", 1)
			continue
		}
		texts = append(texts, access.String())
	}
	text := strings.Join(texts[:min(most, len(texts))], ", ")
	if len(texts) > most {
		text = fmt.Sprintf("%s and %d more", text, len(texts)-most)
	}
	effect := "events for " + account.Unit + " end in a line of the Pod's log"
	if slices.Contains([]string{"list", "watch"}, missing[0].Verb) { // as the informers do before the sink starts
		effect = "the Pod of " + account.Unit + " does not become ready"
	}
	p.Report(account.Path, "ServiceAccount %q may not %s, so %s: %s", account.Name, text, effect, remedyOf(missing))
}

func sameButVerb(a, b rule.Access) bool {
	a.Verb = b.Verb
	return a == b
}

// remedyOf names the role to bind: one that Triggers brings, if it has all that is missing.
func remedyOf(missing []rule.Access) string {
	const prefix = "bind it to ClusterRole tekton-triggers-eventlistener-"
	triggers, cluster := 0, 0
	for _, access := range missing {
		if access.Group == rule.TriggersGroup && access.Verb != "create" {
			triggers++
		}
		if access.Namespace == "" {
			cluster++
		}
	}
	switch {
	case triggers < len(missing) && cluster == 0 && alike(missing):
		var resources []string
		for _, access := range missing {
			resources = append(resources, access.Resource)
		}
		return fmt.Sprintf("bind it to a Role there with apiGroups: [%q], resources: [%s], verbs: [%s]",
			missing[0].Group, strings.Join(resources, ", "), missing[0].Verb)
	case triggers < len(missing):
		return "bind it to a role that may"
	case cluster == 0:
		return prefix + "roles by a RoleBinding"
	case cluster == len(missing) && !slices.ContainsFunc(missing, isNamespaced):
		return prefix + "clusterroles by a ClusterRoleBinding"
	case cluster == len(missing):
		return prefix + "roles, and to -clusterroles, by ClusterRoleBindings"
	}
	return prefix + "roles by a RoleBinding, and to -clusterroles by a ClusterRoleBinding"
}

// alike reports whether one rule of a Role could allow it all.
func alike(missing []rule.Access) bool {
	return !slices.ContainsFunc(missing, func(a rule.Access) bool {
		first := missing[0]
		return a.Group != first.Group || a.Verb != first.Verb || a.Namespace != first.Namespace
	})
}

func isNamespaced(access rule.Access) bool { return !strings.HasPrefix(access.Resource, "cluster") }
