package policy

import (
	"fmt"
	"maps"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/mutator"
)

// The rules that edit what a run says about its Pods.

// accountScope reports whether the rule service-account is on.
func (c *compiler) accountScope() (scope, bool) {
	s, ok := inScope(c.Config.ServiceAccount.Scope)
	return s, ok && c.Config.ServiceAccount.Name != "" && !c.Config.ServiceAccount.Disabled
}

// accountMissing writes that a run takes its ServiceAccount from nowhere.
func (c *compiler) accountMissing() string {
	unset := append([]string{""}, c.Config.ServiceAccount.TreatAsUnset...)
	return all("variables.given in "+quotes(unset), "!variables.owned")
}

func (c *compiler) serviceAccount() error {
	config := c.Config.ServiceAccount
	if config.Name == "" || config.Disabled {
		return nil
	}
	r, ok := c.begin("service-account", config.Scope)
	if !ok {
		return nil
	}
	allow := admissionv1.AllowAction
	r.parameter = &admissionv1.ParamRef{Name: config.Name, ParameterNotFoundAction: &allow}
	r.ops = fmt.Sprintf("%s ? variables.parents + [%s] : []", c.accountMissing(),
		add(`variables.settingsPath + "/serviceAccountName"`, quote(config.Name)))
	c.add(r)
	return nil
}

// everyAccount evaluates a policy once for each ServiceAccount of the namespace.
func everyAccount() *admissionv1.ParamRef {
	allow := admissionv1.AllowAction
	return &admissionv1.ParamRef{Selector: &metav1.LabelSelector{}, ParameterNotFoundAction: &allow}
}

func (c *compiler) limitAccounts(rule string) {
	reason := "a run whose ServiceAccount does not exist is left alone, since policies are evaluated for those that do"
	if _, on := c.accountScope(); on {
		reason += "; so is one that names none, in a namespace that lacks the ServiceAccount of mutator.serviceAccount.name"
	}
	c.limit(rule, "accounts", reason)
}

func (c *compiler) imagePullSecrets() error {
	config := c.Config.ImagePullSecrets
	switch {
	case len(config.Names) == 0 || config.Disabled:
		return nil
	case c.Tekton.DefaultPodTemplate["imagePullSecrets"] != nil:
		return nil // the rule does nothing then
	}
	r, ok := c.begin("image-pull-secrets", config.Scope)
	if !ok {
		return nil
	}
	r.parameter = everyAccount()
	names := fmt.Sprintf("(%s + %s.map(s, s.name)).distinct()", quotes(config.Names),
		list("params", "imagePullSecrets"))
	others := all(
		list("object.spec", "taskRunSpecs")+`.all(o, `+text("o", "serviceAccountName")+` == "" && `+
			text("o", "taskServiceAccountName")+` == "")`,
		"size("+list("object.spec", "serviceAccountNames")+") == 0",
	)
	condition := all("params.metadata.name == variables.account", absent("imagePullSecrets"), others)
	r.ops = condition + " ? " + withPodTemplate("["+add(`variables.settingsPath + "/podTemplate/imagePullSecrets"`,
		names+`.map(n, {"name": n})`)+"]") + " : []"
	c.add(r)
	c.limitAccounts(r.id)
	return nil
}

// absent writes that the run's podTemplate lacks a field.
func absent(name string) string {
	return fmt.Sprintf("!(has(variables.podTemplate.%[1]s) && variables.podTemplate.%[1]s != null)", name)
}

// withPodTemplate makes the podTemplate where there is none, and goes on with the
// operations.
func withPodTemplate(ops string) string {
	return "variables.parents + (has(variables.settings.podTemplate) && variables.settings.podTemplate != null ? [] : [" +
		add(`variables.settingsPath + "/podTemplate"`, "{}") + "]) + " + ops
}

func (c *compiler) podTemplate() error {
	config := c.Config.PodTemplate
	config.Scope = mutator.Scope{}
	fields, err := decoded(config)
	if err != nil {
		return err
	}
	maps.DeleteFunc(fields, func(name string, _ any) bool { return c.Tekton.DefaultPodTemplate[name] != nil })
	if len(fields) == 0 || c.Config.PodTemplate.Disabled {
		return nil
	}
	r, ok := c.begin("pod-template", c.Config.PodTemplate.Scope)
	if !ok {
		return nil
	}
	missing := ""
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if why := c.Tekton.RefusesPodField(name, fields[name]); why != "" {
			c.limit(r.id, "release", name+" is not set: "+why+", and would refuse the run")
			continue
		}
		if missing != "" {
			missing += " +\n"
		}
		missing += fmt.Sprintf("(%s ? [%s] : [])", absent(name), add(`variables.settingsPath + "/podTemplate/`+name+`"`,
			literal(fields[name])))
	}
	if missing == "" {
		return nil
	}
	r.variables = []admissionv1.Variable{{Name: "missing", Expression: missing}}
	r.ops = "size(variables.missing) == 0 ? [] : " + withPodTemplate("variables.missing")
	c.add(r)
	return nil
}
