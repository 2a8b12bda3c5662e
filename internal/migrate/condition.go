package migrate

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// passedResult is the result of a Task that was a Condition.
const passedResult = "passed"

// conditionTask returns the name of the Task that a Condition becomes: its own, unless a
// Task has it already.
func (w *world) conditionTask(condition name, namespace string) string {
	if _, _, taken := find(w.tasks, "Task", namespace, condition.name); taken {
		return condition.name + "-condition"
	}
	return condition.name
}

// ofCondition finds the variables of resources as Conditions spelt them.
var ofCondition = lazyregexp.New(`\$\(resources\.([^.()\s]+)\.([^.()\s]+)\)`)

// condition makes a Task of a Condition: it runs the check, and writes whether it passed to
// a result that the Pipeline's `when` reads. A failed check fails no run.
func (c *converter) condition(root, spec *yaml.Node) {
	check := get(spec, "check")
	if check == nil || check.Kind != yaml.MappingNode {
		c.block("the Condition has no check")
		return
	}
	for _, name := range items(spec, "resources") {
		if text(name, "name") == "inputs" || text(name, "name") == "outputs" {
			c.block("a resource of the Condition is called %q, which cannot be told from a keyword", text(name, "name"))
		}
	}
	eachText(check, func(node *yaml.Node) {
		node.Value = ofCondition.ReplaceAllString(node.Value, "$$(resources.inputs.$1.$2)")
	})
	if text(check, "name") == "" {
		check.Content = slices.Concat(mapping("name", "check").Content, check.Content)
	}
	set(check, "onError", "continue")
	script := str("#!/bin/sh\nset -eu\nif [ \"$(cat $(steps.step-" + text(check, "name") +
		".exitCode.path))\" = 0 ]; then\n  printf true > \"$(results." + passedResult +
		".path)\"\nelse\n  printf false > \"$(results." + passedResult + ".path)\"\nfi\n")
	script.Style = yaml.LiteralStyle
	steps := list(check, mapping("name", "result", "image", c.shellImage(check), "script", script))
	i := at(spec, "check")
	spec.Content[i].Value, spec.Content[i+1] = "steps", steps
	if j := at(spec, "resources"); j >= 0 {
		spec.Content[j+1] = mapping("inputs", spec.Content[j+1])
	}
	c.taskSpec(spec, nil)
	add(spec, at(spec, "steps"), "results", mapping("name", passedResult, "description", "true or false"))
	kind := root.Content[at(root, "kind")+1]
	kind.Value = "Task"
	if called := get(root, "metadata", "name"); called != nil {
		called.Value = c.world.conditionTask(name{"Condition", c.namespace, c.name}, c.namespace)
	}
}

// shellImage returns an image with sh for the step that writes the result: the check's, if
// its script shows that it has one.
func (c *converter) shellImage(check *yaml.Node) string {
	first, _, _ := strings.Cut(text(check, "script"), "\n")
	switch {
	case text(check, "script") == "":
		return c.options.GitImage
	case !strings.HasPrefix(first, "#!"), strings.HasSuffix(strings.Fields(first + " ")[0], "sh"):
		return text(check, "image")
	}
	return c.options.GitImage
}
