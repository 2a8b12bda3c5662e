package validator

import (
	"context"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
)

var templatePrivilegeRule = &Rule{
	ID:       "template-privilege",
	Severity: Error,
	Kinds:    withTemplates,
	Doc: `Finds templates that create what holds for the whole cluster: ClusterRoles and
ClusterRoleBindings, admission webhooks and policies, CustomResourceDefinitions,
APIServices and CertificateSigningRequests.

Whoever can send an event has a hand in who may do what in the cluster then, and the
EventListener's ServiceAccount has to have those rights already.`,
	Check: checkTemplatePrivilege,
}

// privilegedGroups are the API groups whose kinds all hold for the whole cluster.
var privilegedGroups = []string{"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "certificates.k8s.io"}

func checkTemplatePrivilege(_ context.Context, p *Pass) {
	for _, t := range templatedIn(p) {
		if isPrivileged(t) {
			p.Report(t.Path+".kind", "an event must not create a %s, which holds for the whole cluster and everybody in it: create it by hand, or from a pipeline that somebody approves", t.call())
		}
	}
}

func isPrivileged(t templated) bool {
	kind := t.kind()
	return slices.Contains(privilegedGroups, kind.Group) ||
		(kind.Group == "rbac.authorization.k8s.io" && strings.HasPrefix(kind.Kind, "Cluster"))
}

var templateKindRule = &Rule{
	ID:       "template-kind",
	Severity: Warning,
	Kinds:    withTemplates,
	Doc: `Finds templates that create other kinds than TaskRun, PipelineRun and CustomRun, or than
those that policy.triggers.templateKinds lists as kind.group.

Whatever an event creates it creates with the rights of the EventListener's
ServiceAccount: a Secret, a Role or a Pod can be made of the sender's words, and no
Task has looked at them. What a run creates is created by that run's own ServiceAccount.

What holds for the whole cluster is that of template-privilege.`,
	Check: checkTemplateKind,
}

var defaultTemplateKinds = []string{"TaskRun.tekton.dev", "PipelineRun.tekton.dev", "CustomRun.tekton.dev"}

func checkTemplateKind(_ context.Context, p *Pass) {
	allowed, own := p.Policy.Triggers.TemplateKinds, len(p.Policy.Triggers.TemplateKinds) > 0
	if !own {
		allowed = defaultTemplateKinds
	}
	for _, t := range templatedIn(p) {
		kind := t.kind()
		name := strings.TrimSuffix(kind.Kind+"."+kind.Group, ".")
		if kind.Kind == "" || expression.Any(name) || isPrivileged(t) || slices.Contains(gone, kind) || matchesAny(allowed, name) {
			continue
		}
		if own {
			p.Report(t.Path+".kind", "an event may not create a %s here: policy.triggers.templateKinds has %s", name, strings.Join(allowed, ", "))
			continue
		}
		p.Report(t.Path+".kind", "an event creates this %s with the EventListener's own rights and no run in between: let a TaskRun create it, or allow %s in policy.triggers.templateKinds", kind.Kind, name)
	}
}

var templateNamespaceRule = &Rule{
	ID:       "template-namespace",
	Severity: Warning,
	Kinds:    withTemplates,
	Doc: `Finds templates that create objects in another namespace than the trigger's own, or in one
that the event names.

Triggers honours metadata.namespace (pkg/resources/create.go of Tekton Triggers v0.37.0):
with a ServiceAccount that may create runs in all namespaces, whoever edits the template, or
sends the event, runs in any of them, beside its Secrets.`,
	Check: checkTemplateNamespace,
}

func checkTemplateNamespace(_ context.Context, p *Pass) {
	var r object.Reader
	for _, t := range templatedIn(p) {
		namespace := r.Text(r.Fields(t.Fields, "metadata"), "namespace")
		path := t.Path + ".metadata.namespace"
		switch {
		case namespace == "" || namespace == p.Namespace:
		case expression.Any(namespace):
			p.Report(path, "the event chooses the namespace of this %s, so its sender runs in any that the ServiceAccount may create it in: write the namespace out, or leave it away", t.call())
		case p.Namespace != "":
			p.Report(path, "this %s is created in %q and not in the trigger's namespace %q, so it runs beside another team's Secrets: move the trigger there, or leave the namespace away", t.call(), namespace, p.Namespace)
		}
	}
}

var templateWithoutNameRule = &Rule{
	ID:       "template-without-name",
	Severity: Error,
	Kinds:    withTemplates,
	Doc: `Finds templates of objects with neither name nor generateName, and with one that the API
server does not take: capitals, underscores, or a sign at its beginning.

Tekton accepts the template, answers 202 to each event, and creates nothing. What an
expression stands for is taken to be right.`,
	Check: checkTemplateWithoutName,
}

func checkTemplateWithoutName(_ context.Context, p *Pass) {
	var r object.Reader
	for _, t := range templatedIn(p) {
		metadata := r.Fields(t.Fields, "metadata")
		name, prefix := r.Text(metadata, "name"), r.Text(metadata, "generateName")
		if r.Odd || t.Fields == nil {
			r.Odd = false
			continue
		}
		switch {
		case name == "" && prefix == "":
			p.Report(t.Path+".metadata", "this %s has no name, so the API server refuses it for every event: give it a generateName, such as build-", t.call())
		case name != "":
			p.nameFits(t, "name", name, false)
		default:
			p.nameFits(t, "generateName", prefix, true)
		}
	}
}

func (p *Pass) nameFits(t templated, field, name string, prefix bool) {
	problems := apivalidation.NameIsDNSSubdomain(filled(name), prefix)
	if len(problems) == 0 || rolesName(t) {
		return
	}
	if len(filled(name)) > validation.DNS1123SubdomainMaxLength && prefix {
		return // it is cut
	}
	p.Report(t.Path+".metadata."+field, "no %s may have this %s, so the API server refuses it for every event: use small letters, digits and dashes, and no dash first", t.call(), field)
}

// rolesName tells whether the kind takes names with colons and capitals.
func rolesName(t templated) bool { return t.kind().Group == "rbac.authorization.k8s.io" }

// filled is a text with a letter for each expression.
func filled(text string) string {
	for {
		found := expression.Find(text)
		if len(found) == 0 {
			return text
		}
		text = text[:found[0].Start] + "x" + text[found[0].End:]
	}
}

var templateFixedNameRule = &Rule{
	ID:       "template-fixed-name",
	Severity: Warning,
	Kinds:    withTemplates,
	Doc: `Finds templates of objects whose metadata.name is the same for every event.

The first event creates it. The second finds it there: the API server answers
AlreadyExists, and Tekton has answered 202 long before. A name with an expression in it
passes.`,
	Check: checkTemplateFixedName,
}

func checkTemplateFixedName(_ context.Context, p *Pass) {
	var r object.Reader
	for _, t := range templatedIn(p) {
		metadata := r.Fields(t.Fields, "metadata")
		name := r.Text(metadata, "name")
		if name == "" || expression.Any(name) {
			continue
		}
		path := t.Path + ".metadata"
		finding := p.Report(path+".name", "every event creates a %s of this one name, so the second fails with AlreadyExists, after a 202: write generateName: %s- in place of name", t.call(), name)
		if !createsRun(t) {
			continue
		}
		edits := []Edit{{Op: "remove", Path: path + ".name"}}
		if metadata["generateName"] == nil {
			edits = append(edits, Edit{Op: "add", Path: path + ".generateName", Value: name + "-"})
		}
		p.Mend(finding, edits...)
	}
}

func createsRun(t templated) bool { return slices.Contains(runs, t.kind()) }

var templateLongNameRule = &Rule{
	ID:       "template-long-name",
	Severity: Info,
	Kinds:    withTemplates,
	Doc: `Finds templates of objects whose generateName has more than 58 characters.

The API server cuts it there, to have room for five of its own (names.maxGeneratedNameLength
in k8s.io/apiserver): what told two of them apart may be what is lost.`,
	Check: checkTemplateLongName,
}

func checkTemplateLongName(_ context.Context, p *Pass) {
	const longest = 58
	var r object.Reader
	for _, t := range templatedIn(p) {
		metadata := r.Fields(t.Fields, "metadata")
		prefix := r.Text(metadata, "generateName")
		if r.Text(metadata, "name") == "" && !expression.Any(prefix) && len(prefix) > longest {
			p.Report(t.Path+".metadata.generateName", "generateName has %d characters, and the API server cuts it after %d: shorten it", len(prefix), longest)
		}
	}
}

var runDefaultAccountRule = &Rule{
	ID:       "run-default-account",
	Severity: Info,
	Kinds:    runs,
	Doc: `Finds runs in templates that name no ServiceAccount, or name default.

They get the one of Tekton's config-defaults, mostly the namespace's default, which has
no credentials of its own: what it is given for one run all Pods of the namespace have.
Tekgate's own rule that injects a ServiceAccount makes up for it where it is configured.`,
	Check: checkRunDefaultAccount,
}

func checkRunDefaultAccount(_ context.Context, p *Pass) {
	if p.Template == nil {
		return
	}
	var r object.Reader
	spec := r.Fields(p.Object, "spec")
	account, path := r.Text(spec, "serviceAccountName"), "spec.serviceAccountName"
	if p.Kind.Kind == "PipelineRun" && p.Kind.Version == "v1" {
		account, path = r.Text(r.Fields(spec, "taskRunTemplate"), "serviceAccountName"), "spec.taskRunTemplate.serviceAccountName"
	}
	if account == "" || account == "default" {
		p.Report(path, "each event runs this %s as the default ServiceAccount, which all Pods of the namespace share: name one that has what the run needs and no more", p.Kind.Kind)
	}
}
