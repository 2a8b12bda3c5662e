package migrate

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// pipeline is what the runs of a Pipeline have to know of it.
type pipeline struct {
	produced map[string]bool // git resources that a task of it hands to another
}

// pipelineSpec converts the spec of a Pipeline. The account is that of the run that it
// stands in, or of the Pipeline's runs.
func (c *converter) pipelineSpec(spec *yaml.Node, account string) {
	if spec == nil || spec.Kind != yaml.MappingNode {
		return
	}
	c.lists(spec)
	place, comments := at(spec, "resources"), above(spec, "resources")
	c.produced, c.callees = map[string]bool{}, map[*yaml.Node]*task{}
	resources := declaredIn(spec, "resources")
	for _, d := range resources {
		c.supported(d)
	}
	take(spec, "resources")
	c.conditions(spec)
	for _, key := range []string{"tasks", "finally"} {
		for _, one := range items(spec, key) {
			c.pipelineTask(one, resources, account)
		}
	}
	if len(c.blocked) > 0 {
		return
	}
	c.declareResources(spec, place, resources)
	keep(spec, place, comments)
}

// declareResources puts params and workspaces in the place of a Pipeline's resources.
func (c *converter) declareResources(spec *yaml.Node, place int, resources []declared) {
	var params, spaces []*yaml.Node
	for _, d := range resources {
		params = append(params, c.world.declarations(d)...)
		for _, space := range spacesOf(d.kind, d.name, c.produced[d.name]) {
			one := mapping("name", space)
			if d.kind == "storage" || d.optional {
				set(one, "optional", true)
			}
			spaces = append(spaces, one)
		}
	}
	c.unique(spec, "params", params)
	c.unique(spec, "workspaces", spaces)
	add(spec, place, "params", params...)
	add(spec, afterKey(spec, "params"), "workspaces", spaces...)
}

// spacesOf returns the workspaces that a Pipeline has for one of its resources.
func spacesOf(kind, of string, produced bool) []string {
	switch {
	case kind == "cluster", kind == "git" && produced:
		return []string{of}
	case kind == "storage":
		return []string{credentialsSpace(of)}
	}
	return nil
}

// pipelineTask converts a task of a Pipeline.
func (c *converter) pipelineTask(one *yaml.Node, resources []declared, account string) {
	for _, when := range items(one, "when") {
		for _, key := range []string{"input", "operator", "values"} {
			rename(when, strings.ToUpper(key[:1])+key[1:], key)
		}
	}
	if i := at(one, "matrix"); i >= 0 && get(one, "matrix") != nil && get(one, "matrix").Kind == yaml.SequenceNode {
		one.Content[i+1] = mapping("params", one.Content[i+1])
	}
	from := map[string]bool{}
	for _, in := range items(one, "resources", "inputs") {
		from[text(in, "name")] = len(items(in, "from")) > 0
	}
	called := text(one, "taskRef", "name")
	kind := text(one, "taskRef", "kind")
	bundle := text(one, "taskRef", "bundle")
	var callee *task
	embedded := get(one, "taskSpec")
	switch {
	case embedded != nil && text(embedded, "apiVersion") == "":
		callee = &task{
			inputs: append(declaredIn(get(embedded, "resources"), "inputs"),
				declaredIn(get(embedded, "inputs"), "resources")...),
			outputs: append(declaredIn(get(embedded, "resources"), "outputs"),
				declaredIn(get(embedded, "outputs"), "resources")...),
		}
		c.taskSpec(embedded, from)
	case c.callees[one] != nil:
		callee = c.callees[one]
	case called != "" && bundle == "":
		if kind != "ClusterTask" {
			kind = "Task"
		}
		if found, _, ok := lookup(c, tasksOf, kind, c.namespaceOf(kind), called); ok {
			callee = &found
		} else if get(one, "resources") != nil {
			c.note("%s %q is not among the files: migrate it too, so that it has the params that its resources become",
				kind, called)
		}
	}
	c.ref(get(one, "taskRef"), "task", account)
	if i := at(one, "resources"); i >= 0 {
		c.bindTask(one, i, callee, resources)
	}
}

// namespaceOf returns where an object of a kind is looked for.
func (c *converter) namespaceOf(kind string) string {
	if kind == "ClusterTask" {
		return ""
	}
	return c.namespace
}

// bindTask puts params and workspaces in the place of the resources that a Pipeline binds
// to one of its tasks.
func (c *converter) bindTask(one *yaml.Node, place int, callee *task, resources []declared) {
	comments := joined(above(one, "resources"), above(get(one, "resources"), "inputs", "outputs"))
	_, bound := take(one, "resources")
	var params, spaces []*yaml.Node
	var after []string
	passedBefore := map[string]bool{}
	for _, output := range []bool{false, true} {
		side := map[bool]string{false: "inputs", true: "outputs"}[output]
		for _, binding := range items(bound, side) {
			b := c.binding(one, bound, binding, output, callee, resources)
			if b.kind == "" {
				continue
			}
			if !passedBefore[b.to] { // an input and an output of one name have the same params
				passedBefore[b.to] = true
				passed := c.world.passing(b.kind, b.to, b.from)
				spread(passed, binding, get(binding, "name"), get(binding, "resource"))
				params = append(params, passed...)
			}
			spaces = append(spaces, b.spaces...)
			after = append(after, b.after...)
		}
	}
	add(one, place, "params", params...)
	add(one, afterKey(one, "params"), "workspaces", spaces...)
	runAfter(one, after)
	keep(one, place, comments)
}

// runAfter adds tasks after which a task runs.
func runAfter(one *yaml.Node, after []string) {
	for _, name := range after {
		if !slices.ContainsFunc(items(one, "runAfter"), func(n *yaml.Node) bool { return n.Value == name }) {
			add(one, -1, "runAfter", str(name))
		}
	}
}

// bound is a resource that a Pipeline binds to a task.
type bound struct {
	kind, to, from string
	spaces         []*yaml.Node
	after          []string
}

func (c *converter) binding(
	one, all, binding *yaml.Node, output bool, callee *task, resources []declared,
) bound {
	b := bound{to: text(binding, "name"), from: text(binding, "resource")}
	i := slices.IndexFunc(resources, func(d declared) bool { return d.name == b.from })
	if i < 0 {
		c.block("task %q binds resource %q, which the Pipeline does not declare", text(one, "name"), b.from)
		return bound{}
	}
	b.kind = resources[i].kind
	if callee != nil {
		b.to = c.meant(one, all, b, output, callee)
	}
	if types[b.kind].fields == nil || b.to == "" {
		return bound{}
	}
	from := items(binding, "from")
	for _, name := range from {
		b.after = append(b.after, name.Value)
	}
	switch {
	case b.kind == "cluster":
		b.spaces = append(b.spaces, mapping("name", b.to, "workspace", b.from))
	case b.kind == "storage" && len(from) > 0:
		c.block("task %q takes storage %q from another task: hand it over in a workspace", text(one, "name"), b.from)
	case b.kind == "storage":
		b.spaces = append(b.spaces, mapping("name", credentialsSpace(b.to), "workspace", credentialsSpace(b.from)))
	case b.kind == "git" && output:
		c.produced[b.from] = true
		b.spaces = append(b.spaces, mapping("name", outputSpace(b.to), "workspace", b.from, "subPath",
			text(one, "name")))
	case b.kind == "git" && len(from) > 1:
		c.block("task %q takes %q from several tasks: hand it over in one workspace", text(one, "name"), b.from)
	case b.kind == "git" && len(from) == 1:
		c.produced[b.from] = true
		b.spaces = append(b.spaces, mapping("name", inputSpace(b.to), "workspace", b.from, "subPath", from[0].Value))
	}
	return b
}

// meant returns the Task's resource that a binding is for. If the Task has none of the
// name, the only one of the type that nothing is bound to must be meant.
func (c *converter) meant(one, all *yaml.Node, b bound, output bool, callee *task) string {
	side, key := callee.inputs, "inputs"
	if output {
		side, key = callee.outputs, "outputs"
	}
	var free []string
	for _, d := range side {
		if d.name == b.to {
			return b.to
		}
		taken := slices.ContainsFunc(items(all, key), func(n *yaml.Node) bool { return text(n, "name") == d.name })
		if !taken && d.kind == b.kind {
			free = append(free, d.name)
		}
	}
	if len(free) == 1 {
		c.todo(one, "check that %q is meant: the Task has no resource %q, and Tekton refused to run it", free[0], b.to)
		return free[0]
	}
	c.block("task %q binds %q, and the Task has no such resource", text(one, "name"), b.to)
	return ""
}

// resultOf finds the tasks whose results a text names.
var resultOf = lazyregexp.New(`\$\(tasks\.([^.()\s]+)\.results`)

// conditions puts a task and a `when` in the place of each Condition of a Pipeline's tasks.
func (c *converter) conditions(spec *yaml.Node) {
	guards := map[string][]*yaml.Node{} // by the task
	tasks := get(spec, "tasks")
	if tasks == nil {
		return
	}
	var out []*yaml.Node
	for _, item := range tasks.Content {
		one := actual(item)
		_, conditions := take(one, "conditions")
		var checks []*yaml.Node
		for n, condition := range items(mapping("conditions", orEmpty(conditions)), "conditions") {
			check := c.check(one, condition, n)
			checks = append(checks, check)
			guard := mapping("input", fmt.Sprintf("$(tasks.%s.results.%s)", text(check, "name"), passedResult),
				"operator", "in", "values", list("true"))
			get(guard, "values").Style = yaml.FlowStyle
			get(guard, "values").Content[0].Style = yaml.DoubleQuotedStyle
			guards[text(one, "name")] = append(guards[text(one, "name")], guard)
		}
		out = append(append(out, checks...), item)
	}
	if len(guards) == 0 {
		return
	}
	tasks.Content = out
	for _, one := range items(spec, "tasks") {
		for _, guard := range guarding(spec, text(one, "name"), guards) {
			add(one, afterKey(one, "taskRef", "taskSpec"), "when", document.Clone(guard))
		}
	}
}

func orEmpty(node *yaml.Node) *yaml.Node {
	if node == nil {
		return list()
	}
	return node
}

// guarding returns the guards of a task: its own and those of the tasks that it runs after,
// since Tekton skipped these too.
func guarding(spec *yaml.Node, called string, guards map[string][]*yaml.Node) []*yaml.Node {
	var all []*yaml.Node
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		all = append(all, guards[name]...)
		for _, one := range items(spec, "tasks") {
			if text(one, "name") == name && !isCheck(one, guards) {
				for _, before := range dependencies(one) {
					visit(before)
				}
			}
		}
	}
	for _, one := range items(spec, "tasks") {
		if text(one, "name") == called && isCheck(one, guards) {
			return nil
		}
	}
	visit(called)
	return all
}

// isCheck reports whether a task was made of a Condition: no guard is for it, and one asks it.
func isCheck(one *yaml.Node, guards map[string][]*yaml.Node) bool {
	for _, of := range guards {
		for _, guard := range of {
			if text(guard, "input") == fmt.Sprintf("$(tasks.%s.results.%s)", text(one, "name"), passedResult) {
				return true
			}
		}
	}
	return false
}

// dependencies returns the tasks that a task runs after.
func dependencies(one *yaml.Node) []string {
	var all []string
	put := func(name string) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, name := range items(one, "runAfter") {
		put(name.Value)
	}
	for _, in := range items(one, "resources", "inputs") {
		for _, name := range items(in, "from") {
			put(name.Value)
		}
	}
	eachText(get(one, "params"), func(node *yaml.Node) {
		for _, found := range resultOf.FindAllStringSubmatch(node.Value, -1) {
			put(found[1])
		}
	})
	return all
}

// checked returns the name of the Task that a Condition becomes, or has become already, and
// whether it is among the files.
func (c *converter) checked(condition string) (task string, known bool) {
	if _, key, ok := lookup(c, conditionsOf, "Condition", c.namespace, condition); ok {
		return c.world.conditionTask(key, c.namespace), true
	}
	for _, called := range []string{condition + "-condition", condition} {
		if found, _, ok := lookup(c, tasksOf, "Task", c.namespace, called); ok && found.passes {
			return called, true
		}
	}
	return condition, false
}

// check returns the task that runs what was a Condition of a task.
func (c *converter) check(one, condition *yaml.Node, n int) *yaml.Node {
	called := text(condition, "conditionRef")
	name := sanitized(text(one, "name") + "-" + called)
	if n > 0 {
		name = fmt.Sprintf("%s-%d", name[:min(len(name), 60)], n+1)
	}
	task, known := c.checked(called)
	if !known {
		c.todo(condition, "migrate the Condition %q too, which is not among the files: it becomes a Task with the result %s",
			called, passedResult)
	}
	check := mapping("name", name, "taskRef", mapping("name", task))
	check.HeadComment = condition.HeadComment
	if key, params := take(condition, "params"); params != nil {
		check.Content = append(check.Content, key, params)
	}
	if resources := get(condition, "resources"); resources != nil {
		set(check, "resources", mapping("inputs", resources))
	}
	if of, _, ok := lookup(c, checksOf, "Condition", c.namespace, called); ok {
		c.callees[check] = &of
	} else {
		c.callees[check] = nil
	}
	for _, before := range dependencies(one) {
		add(check, -1, "runAfter", str(before))
	}
	return check
}
