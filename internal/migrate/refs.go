package migrate

import (
	"go.yaml.in/yaml/v3"
)

// ref converts a reference to a Task, a Pipeline or a StepAction: a bundle to the bundles
// resolver, a ClusterTask to the cluster resolver. The account is the run's, by which
// Tekton fetched bundles, or "".
func (c *converter) ref(ref *yaml.Node, kind, account string) {
	if ref == nil || ref.Kind != yaml.MappingNode {
		return
	}
	bundle := get(ref, "bundle")
	called := get(ref, "name")
	switch {
	case bundle != nil && called == nil:
		c.block("the bundle %q is named without the %s in it: add its name", bundle.Value, kind)
	case bundle != nil:
		if text(ref, "kind") == "ClusterTask" {
			kind = "clustertask"
		}
		params := list(mapping("name", "bundle", "value", bundle), mapping("name", "name", "value", called),
			mapping("name", "kind", "value", kind))
		if account != "" {
			params.Content = append(params.Content, mapping("name", "serviceAccount", "value", account))
		}
		c.resolver(ref, "bundles", params)
		if account == "" && c.kind == "Pipeline" { // without one, both take the namespace's default
			c.note("the bundle %s is fetched with the ServiceAccount default, and no longer with the run's: if the registry asks for credentials, add the resolver's param serviceAccount",
				bundle.Value)
		}
	case text(ref, "kind") == "ClusterTask" && kind == "task":
		if called == nil {
			c.block("a ClusterTask is referred to without its name: add it")
			return
		}
		c.resolver(ref, "cluster", list(mapping("name", "kind", "value", "task"),
			mapping("name", "name", "value", called), mapping("name", "namespace", "value", c.options.Namespace)))
	case at(ref, "bundle") >= 0:
		take(ref, "bundle") // empty
	}
}

// resolver makes a reference one to a resolver, at the place of the name.
func (c *converter) resolver(ref *yaml.Node, name string, params *yaml.Node) {
	comments := []string{}
	for _, node := range ref.Content {
		if node.HeadComment != "" {
			comments = append(comments, node.HeadComment)
		}
	}
	ref.Style &^= yaml.FlowStyle
	ref.Content = mapping("resolver", name, "params", params).Content
	for _, one := range comments {
		ref.Content[0].HeadComment = joined(ref.Content[0].HeadComment, one)
	}
}
