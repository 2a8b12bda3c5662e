package validator

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// This file decides what a ServiceAccount may do by the roles and bindings of a set, as the API server's RBAC
// authorizer does by those of a cluster (plugin/pkg/auth/authorizer/rbac of Kubernetes v1.37.2).

var (
	roleBindings        = schema.GroupKind{Group: rbacv1.GroupName, Kind: "RoleBinding"}
	clusterRoleBindings = schema.GroupKind{Group: rbacv1.GroupName, Kind: "ClusterRoleBinding"}
	clusterRoles        = schema.GroupKind{Group: rbacv1.GroupName, Kind: "ClusterRole"}
)

// triggersRoles are the ClusterRoles that Tekton Triggers v0.37.0 installs for ServiceAccounts of EventListeners.
// They are what a binding means whose role is in no file and in no cluster that is asked.
var triggersRoles = map[string][]rbacv1.PolicyRule{
	"tekton-triggers-eventlistener-roles": {
		{APIGroups: []string{rule.TriggersGroup}, Verbs: []string{"get", "list", "watch"}, Resources: []string{
			"eventlisteners", "triggerbindings", "interceptors", "triggertemplates", "triggers"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}},
		{APIGroups: []string{rule.TektonGroup}, Verbs: []string{"create"}, Resources: []string{
			"pipelineruns", "pipelineresources", "taskruns"}},
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	},
	"tekton-triggers-eventlistener-clusterroles": {
		{APIGroups: []string{rule.TriggersGroup}, Verbs: []string{"get", "list", "watch"}, Resources: []string{
			"clustertriggerbindings", "clusterinterceptors"}},
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "watch"}},
	},
}

// binding is a RoleBinding or ClusterRoleBinding.
type binding struct {
	subject  Subject
	cluster  bool // whether it holds in all namespaces
	role     schema.GroupKind
	name     string // of the role
	subjects []rbacv1.Subject
}

func bindingOf(o Subject) binding {
	var r object.Reader
	fields := o.spelled()
	ref := r.Fields(fields, "roleRef")
	b := binding{subject: o, cluster: o.Kind.Kind == clusterRoleBindings.Kind,
		role: schema.GroupKind{Group: rbacv1.GroupName, Kind: r.Text(ref, "kind")}, name: r.Text(ref, "name")}
	for _, s := range r.FieldsList(fields, "subjects") {
		b.subjects = append(b.subjects,
			rbacv1.Subject{Kind: r.Text(s, "kind"), Name: r.Text(s, "name"), Namespace: r.Text(s, "namespace")})
	}
	return b
}

// May implements Cluster, by the roles and bindings of the set.
//
// An account that no binding of the set names is unknown: its bindings are elsewhere. So is what a role would
// decide that is not in the set, or that gathers rules from others by their labels, and what an account
// may do in another namespace than its own, where nothing in the set names it.
func (s *Set) May(ctx context.Context, who rule.Account, access rule.Access) (bool, error) {
	return s.MayWith(ctx, rule.Nowhere{}, who, access)
}

// MayWith is May with a cluster that is asked for the roles that the set lacks.
func (s *Set) MayWith(ctx context.Context, c rule.Cluster, who rule.Account, access rule.Access) (bool, error) {
	named, here, complete := false, false, true
	for _, b := range s.bindings {
		names, binds := b.subjectsOf(who)
		named = named || names
		if !binds || !b.holdsIn(access.Namespace) {
			continue
		}
		here = here || names && !b.cluster
		rules, all := s.rulesOf(ctx, c, b)
		if covered, _ := validation.Covers(rules, []rbacv1.PolicyRule{asRule(access)}); covered {
			return true, nil
		}
		complete = complete && all
	}
	foreign := access.Namespace != "" && !mayBe(access.Namespace, who.Namespace)
	if !named || !complete || foreign && !here || s.grantsElsewhere(access) {
		return false, rule.ErrUnknown
	}
	return false, nil
}

// grantsElsewhere reports whether Elsewhere names bindings that could allow something.
func (s *Set) grantsElsewhere(access rule.Access) bool {
	return len(s.Elsewhere[clusterRoleBindings.Kind]) > 0 ||
		access.Namespace != "" && len(s.Elsewhere[roleBindings.Kind]) > 0
}

// asRule returns the smallest rule that allows an access.
func asRule(access rule.Access) rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{Verbs: []string{access.Verb}, APIGroups: []string{access.Group},
		Resources: []string{access.Resource}}
	if access.Name != "" {
		r.ResourceNames = []string{access.Name}
	}
	return r
}

// mayBe reports whether two namespaces can be the same, as far as they are known.
func mayBe(a, b string) bool {
	return a == b || slices.Contains([]string{"", rule.SomeNamespace}, a) ||
		slices.Contains([]string{"", rule.SomeNamespace}, b)
}

// holdsIn reports whether a binding is for a namespace, "" for the whole cluster.
func (b binding) holdsIn(namespace string) bool {
	return b.cluster || namespace != "" && mayBe(b.subject.Namespace, namespace)
}

// subjectsOf reports whether a binding names an account itself, and whether it binds it, be it by a group.
// The namespace of a ServiceAccount in a RoleBinding is that of the binding if the subject says none.
func (b binding) subjectsOf(who rule.Account) (names, binds bool) {
	for _, s := range b.subjects {
		user := s.Kind == rbacv1.UserKind && s.Name == "system:serviceaccount:"+who.Namespace+":"+who.Name
		namespace := s.Namespace
		if namespace == "" {
			namespace = b.subject.Namespace
		}
		if user || s.Kind == rbacv1.ServiceAccountKind && s.Name == who.Name && mayBe(namespace, who.Namespace) {
			return true, true
		}
		binds = binds || s.Kind == rbacv1.GroupKind && slices.Contains([]string{"system:serviceaccounts",
			"system:serviceaccounts:" + who.Namespace, "system:authenticated"}, s.Name)
	}
	return false, binds
}

// rulesOf returns the rules of the role that a binding names, and whether these are all: it is false for a
// role that is not known. Of several definitions of a role each counts.
func (s *Set) rulesOf(ctx context.Context, c rule.Cluster, b binding) (rules []rbacv1.PolicyRule, all bool) {
	all = true
	found := 0
	for _, o := range s.named[setName{b.role, b.name}] {
		if b.role == clusterRoles || mayBe(o.Namespace, b.subject.Namespace) {
			own, complete := s.rulesIn(o.spelled())
			rules, all, found = append(rules, own...), all && complete, found+1
		}
	}
	switch {
	case found > 0:
		return rules, all
	case b.role == clusterRoles && b.name == "cluster-admin": // the same in each cluster
		every := []string{rbacv1.APIGroupAll}
		return []rbacv1.PolicyRule{{Verbs: every, APIGroups: every, Resources: every}}, true
	}
	namespace := b.subject.Namespace
	if b.role == clusterRoles {
		namespace = ""
	}
	fields, err := c.Get(ctx, b.role, namespace, b.name)
	if brought := triggersRoles[b.name]; err != nil && b.role == clusterRoles && brought != nil {
		// That it reads all Secrets is Triggers' doing, and no fault of each repository that binds it.
		return slices.DeleteFunc(slices.Clone(brought), func(r rbacv1.PolicyRule) bool {
			return slices.Equal(r.Resources, []string{"secrets"})
		}), true
	}
	if err != nil || fields == nil {
		return nil, false
	}
	return s.rulesIn(fields)
}

// rulesIn returns the rules of a role and, if it gathers those of others, theirs as far as they are in
// the set: then they are not known to be all.
func (s *Set) rulesIn(role map[string]any) (rules []rbacv1.PolicyRule, all bool) {
	var r object.Reader
	rules = policyRules(role)
	aggregation := r.Fields(role, "aggregationRule")
	if aggregation == nil {
		return rules, true
	}
	for _, fields := range r.FieldsList(aggregation, "clusterRoleSelectors") {
		var selector metav1.LabelSelector
		if runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &selector) != nil {
			continue
		}
		wanted, err := metav1.LabelSelectorAsSelector(&selector)
		if err != nil {
			continue
		}
		for _, other := range s.objects[clusterRoles] {
			if wanted.Matches(labelsOf(other.Fields)) {
				rules = append(rules, policyRules(other.Fields)...)
			}
		}
	}
	return rules, false
}

func labelsOf(fields map[string]any) labels.Set {
	var r object.Reader
	own := labels.Set{}
	for key, value := range r.Fields(r.Fields(fields, "metadata"), "labels") {
		own[key], _ = value.(string)
	}
	return own
}

func policyRules(role map[string]any) []rbacv1.PolicyRule {
	var r object.Reader
	var rules []rbacv1.PolicyRule
	for _, one := range r.FieldsList(role, "rules") {
		rules = append(rules, rbacv1.PolicyRule{
			Verbs: r.TextList(one, "verbs"), APIGroups: r.TextList(one, "apiGroups"),
			Resources: r.TextList(one, "resources"), ResourceNames: r.TextList(one, "resourceNames"),
		})
	}
	return rules
}
