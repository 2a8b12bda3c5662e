package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// listener converts the spec of an EventListener.
func (c *converter) listener(spec *yaml.Node) {
	for _, one := range items(spec, "triggers") {
		c.trigger(one)
	}
	for _, group := range items(spec, "triggerGroups") {
		c.interceptors(group)
	}
	rename(spec, "serviceAccount", "serviceAccountName")
	c.podSettings(spec)
}

// podSettings moves the settings of the listener's Deployment and Service to where Triggers
// has had them since v0.12.
func (c *converter) podSettings(spec *yaml.Node) {
	for _, key := range []string{"replicas", "serviceType"} {
		if name, value := take(spec, key); value != nil {
			resource := below(below(spec, "resources"), "kubernetesResource")
			if at(resource, key) < 0 {
				resource.Content = append(resource.Content, name, value)
			}
		}
	}
	_, template := take(spec, "podTemplate")
	if template = get(template); template == nil || template.Kind != yaml.MappingNode {
		return
	}
	pod := below(below(below(below(below(spec, "resources"), "kubernetesResource"), "spec"), "template"), "spec")
	for i := 0; i+1 < len(template.Content); i += 2 {
		switch key := template.Content[i].Value; key {
		case "nodeSelector", "tolerations":
			if at(pod, key) < 0 {
				pod.Content = append(pod.Content, template.Content[i], template.Content[i+1])
			}
		default:
			c.block("podTemplate.%s has no place in v1beta1: set it in resources.kubernetesResource.spec.template, or remove it",
				key)
		}
	}
}

// trigger converts a trigger: one of an EventListener, or the spec of a Trigger.
func (c *converter) trigger(one *yaml.Node) {
	c.bindingForms(one)
	c.interceptors(one)
	template := get(one, "template")
	if get(template, "ref") == nil && get(template, "spec") == nil {
		rename(template, "name", "ref")
	} else {
		take(template, "name")
	}
	c.template(get(template, "spec"))
	if i := at(one, "serviceAccount"); i >= 0 {
		account := get(one, "serviceAccount")
		if account != nil && account.Kind == yaml.MappingNode {
			if space := text(account, "namespace"); space != "" && space != c.namespace {
				c.todo(one, "the ServiceAccount is looked for in the trigger's namespace, and no longer in %q", space)
			}
			actual(one).Content[i+1] = get(account, "name")
		}
		rename(one, "serviceAccount", "serviceAccountName")
	}
}

// bindingForms converts references by name, and bindings that a trigger holds itself.
func (c *converter) bindingForms(one *yaml.Node) {
	bindings := get(one, "bindings")
	if bindings == nil || bindings.Kind != yaml.SequenceNode {
		return
	}
	var out []*yaml.Node
	for _, item := range bindings.Content {
		b := actual(item)
		params := items(b, "spec", "params")
		switch {
		case b.Kind != yaml.MappingNode:
			out = append(out, item)
		case get(b, "spec") != nil:
			for i, param := range params {
				if get(param, "value") == nil {
					c.block("param %q of a binding has no value: give it one", text(param, "name"))
				}
				if i == 0 {
					param.HeadComment = joined(b.HeadComment, param.HeadComment)
				}
				out = append(out, param)
			}
		case get(b, "ref") != nil && get(b, "value") == nil:
			take(b, "name")
			out = append(out, item)
		case get(b, "value") == nil:
			rename(b, "name", "ref")
			out = append(out, item)
		default:
			out = append(out, item)
		}
	}
	bindings.Content = out
}

// short are the interceptors that had a field of their own.
var short = []string{"github", "gitlab", "bitbucket", "cel"}

// interceptors converts the interceptors that have a field of their own to references with
// params. A name of a reference that is no name of an interceptor stays.
func (c *converter) interceptors(holder *yaml.Node) {
	for _, one := range items(holder, "interceptors") {
		var there []string
		for _, kind := range short {
			if at(one, kind) >= 0 {
				there = append(there, kind)
			}
		}
		switch {
		case len(there) == 0:
			continue
		case len(there) > 1 || get(one, "webhook") != nil || get(one, "ref") != nil:
			c.block("an interceptor is several at once (%s): write one item for each", strings.Join(there, ", "))
			continue
		}
		kind := there[0]
		i := at(one, kind)
		name := one.Content[i]
		value := get(one, kind)
		params := c.interceptorParams(value)
		ref := mapping("name", kind)
		one.Content = slices.Replace(one.Content, i, i+2, str("ref"), ref)
		one.Content[i].HeadComment, one.Content[i].LineComment = name.HeadComment, name.LineComment
		if len(params) > 0 {
			add(one, i+2, "params", params...)
		}
	}
}

// interceptorParams returns the fields of an interceptor as params.
func (c *converter) interceptorParams(value *yaml.Node) []*yaml.Node {
	var params []*yaml.Node
	if value == nil || value.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(value.Content); i += 2 {
		key, field := value.Content[i], value.Content[i+1]
		if key.Value == "secretRef" {
			if _, space := take(field, "namespace"); space != nil && space.Value != c.namespace {
				c.note("the Secret of an interceptor is looked for in the trigger's namespace, and no longer in %q",
					space.Value)
			}
		}
		param := mapping("name", key.Value, "value", field)
		param.HeadComment = key.HeadComment
		params = append(params, param)
	}
	return params
}

// template converts the objects that a TriggerTemplate makes. PipelineResources among them
// are removed: the runs that name them have their values.
func (c *converter) template(spec *yaml.Node) {
	templates := get(spec, "resourcetemplates")
	if templates == nil || templates.Kind != yaml.SequenceNode {
		return
	}
	for _, param := range items(spec, "params") {
		c.templateParam(templates, text(param, "name"))
	}
	c.local = map[string]resource{}
	for _, one := range items(spec, "resourcetemplates") {
		var fields map[string]any
		inner := get(one, "spec")
		if text(one, "kind") == "PipelineResource" && inner != nil && inner.Decode(&fields) == nil {
			called := text(one, "metadata", "name")
			c.local[called] = c.world.resourceFrom(called, fields)
		}
	}
	var out []*yaml.Node
	kept := ""
	for _, item := range templates.Content {
		one := actual(item)
		if text(one, "kind") == "PipelineResource" && strings.HasPrefix(text(one, "apiVersion"), "tekton.dev/") {
			c.note("PipelineResource %q was removed from the template: its values are in the run that names it",
				text(one, "metadata", "name"))
			kept = joined(kept, commented(one))
			continue
		}
		item.HeadComment, kept = joined(kept, item.HeadComment), ""
		out = append(out, item)
		c.embedded(one)
	}
	templates.Content = out
	if i := at(spec, "resourcetemplates"); kept != "" && i >= 0 {
		spec.Content[i].HeadComment = joined(spec.Content[i].HeadComment, kept)
	}
}

// commented returns an object as comments.
func commented(node *yaml.Node) string {
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	encoder.CompactSeqIndent()
	if encoder.Encode(node) != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "#") {
			lines[i] = "# " + line
		}
	}
	return strings.Join(lines, "\n")
}

// templateParam gives uses of a template's param their prefix: $(params.X) was the
// template's in Triggers before v0.10, unless the object in the template declares X.
func (c *converter) templateParam(templates *yaml.Node, called string) {
	if !c.old || called == "" {
		return
	}
	for _, item := range templates.Content {
		if declares(actual(item), called) {
			continue
		}
		eachText(actual(item), func(node *yaml.Node) {
			node.Value = strings.ReplaceAll(node.Value, "$(params."+called+")", "$(tt.params."+called+")")
		})
	}
}

// declares reports whether an object below a node declares a param.
func declares(node *yaml.Node, called string) bool {
	if node == nil {
		return false
	}
	for _, param := range items(node, "params") {
		if text(param, "name") == called && get(param, "value") == nil {
			return true
		}
	}
	for _, child := range node.Content {
		if child = actual(child); child.Kind != yaml.ScalarNode && declares(child, called) {
			return true
		}
	}
	return false
}
