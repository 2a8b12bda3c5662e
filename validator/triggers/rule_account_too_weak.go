package triggers

import (
	"context"
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
to list Triggers' objects, and ClusterTriggerBindings and ClusterInterceptors in the whole
cluster, to create what the templates hold, and to impersonate the ServiceAccounts that
triggers name; those have to create what their templates hold.

An EventListener that may not list does not become ready; one that may not create answers
202 and writes a line into the log of its Pod (asked for in tektoncd/triggers#161). The
ClusterRoles tekton-triggers-eventlistener-roles and -clusterroles have what is needed.`,
	Check: checkAccountTooWeak,
}

func checkAccountTooWeak(ctx context.Context, p *rule.Pass) {
	if p.Namespace == "" {
		return
	}
	own := accountPlace{}
	if p.Kind.Kind == "EventListener" && !listenerIsCustom(p) {
		own = listenerAccount(p)
	}
	if !mustAll(ctx, p, own, listing(p)) {
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
			mustAll(ctx, p, own,
				[]rule.Access{{Verb: "impersonate", Resource: "serviceaccounts", Namespace: p.Namespace, Name: name}})
		}
		if !mustAll(ctx, p, account, creating(ctx, p, resolved)) {
			return
		}
	}
}

// listing is what an EventListener's informers read.
func listing(p *rule.Pass) []rule.Access {
	var all []rule.Access
	for _, resource := range []string{"eventlisteners", "triggers", "triggerbindings", "triggertemplates",
		"interceptors"} {
		all = append(all,
			rule.Access{Verb: "list", Group: rule.TriggersGroup, Resource: resource, Namespace: p.Namespace})
	}
	for _, resource := range []string{"clustertriggerbindings", "clusterinterceptors"} {
		all = append(all, rule.Access{Verb: "list", Group: rule.TriggersGroup, Resource: resource})
	}
	return all
}

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
			namespace = p.Namespace
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
// It reports false where nobody can tell: then there is no use in asking again.
func mustAll(ctx context.Context, p *rule.Pass, account accountPlace, all []rule.Access) bool {
	if account.Name == "" || expression.Any(account.Name) {
		return true
	}
	who := rule.Account{Namespace: p.Namespace, Name: account.Name}
	var missing []string
	for _, access := range all {
		may, err := p.Cluster.May(ctx, who, access)
		if err != nil {
			p.Unknown(account.Path, "asking what ServiceAccount "+strconv.Quote(account.Name)+" may do", err)
			return false
		}
		if !may && !slices.Contains(missing, access.String()) {
			missing = append(missing, access.String())
		}
	}
	if len(missing) > 0 {
		mayNot(p, account, missing)
	}
	return true
}

// mayNot reports what an account may not do.
func mayNot(p *rule.Pass, account accountPlace, missing []string) {
	const most = 3
	text := strings.Join(missing[:min(most, len(missing))], ", ")
	if len(missing) > most {
		text = fmt.Sprintf("%s and %d more", text, len(missing)-most)
	}
	p.Report(account.Path,
		"ServiceAccount %q may not %s, so events for %s end in a line of the Pod's log: bind it to a role that may",
		account.Name, text, account.Unit)
}
