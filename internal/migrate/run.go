package migrate

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// taskRun converts the spec of a TaskRun.
func (c *converter) taskRun(spec *yaml.Node) {
	c.lists(spec)
	rename(spec, "serviceAccount", "serviceAccountName")
	rename(spec, "stepOverrides", "stepSpecs")
	rename(spec, "sidecarOverrides", "sidecarSpecs")
	for _, key := range []string{"stepSpecs", "sidecarSpecs"} {
		for _, one := range items(spec, key) {
			rename(one, "resources", "computeResources")
		}
	}
	c.breakpoint(spec)
	c.cancelled(spec, "TaskRunCancelled")
	b := bindings{c: c, seen: map[string]bool{}, comments: joined(above(spec, "inputs", "outputs", "resources"),
		joined(above(get(spec, "resources"), "inputs", "outputs"),
			joined(above(get(spec, "inputs"), "resources"), above(get(spec, "outputs"), "resources"))))}
	place, inputs, outputs := c.runResources(spec)
	c.ref(get(spec, "taskRef"), "task", text(spec, "serviceAccountName"))
	c.taskSpec(get(spec, "taskSpec"), nil)
	for _, binding := range inputs {
		b.bind(binding, false, true)
	}
	for _, binding := range outputs {
		b.bind(binding, true, true)
	}
	b.put(spec, place)
}

// breakpoint gives the debugging of a TaskRun its form of v1.
func (c *converter) breakpoint(spec *yaml.Node) {
	debug := get(spec, "debug")
	if _, old := take(debug, "breakpoint"); old != nil {
		for _, one := range old.Content {
			if one.Value == "onFailure" {
				set(below(debug, "breakpoints"), "onFailure", "enabled")
			}
		}
	}
}

// cancelled gives the state that cancels a run its name of v1.
func (c *converter) cancelled(spec *yaml.Node, now string) {
	if status := get(spec, "status"); status != nil && status.Value == "PipelineRunCancelled" {
		status.Value = now
	}
}

// runResources takes the resources that a TaskRun binds out of its spec, and returns where
// they stood. The params of v1alpha1 move to params.
func (c *converter) runResources(spec *yaml.Node) (place int, inputs, outputs []*yaml.Node) {
	place = at(spec, "resources")
	inputs, outputs = items(spec, "resources", "inputs"), items(spec, "resources", "outputs")
	take(spec, "resources")
	if i := at(spec, "inputs"); i >= 0 {
		place = i
		inputs = append(inputs, items(spec, "inputs", "resources")...)
		key, params := take(get(spec, "inputs"), "params")
		take(spec, "inputs")
		switch {
		case params == nil:
		case get(spec, "params") != nil:
			c.block("both inputs.params and params are set: merge them into params")
		default:
			insert(spec, i, "params", params)
			spec.Content[i].HeadComment, spec.Content[i].LineComment = key.HeadComment, key.LineComment
			place = i + 2
		}
	}
	if i := at(spec, "outputs"); i >= 0 {
		if place < 0 {
			place = i
		}
		outputs = append(outputs, items(spec, "outputs", "resources")...)
		take(spec, "outputs")
	}
	return place, inputs, outputs
}

// bindings collects what takes the place of the resources that a run binds.
type bindings struct {
	c              *converter
	params, spaces []*yaml.Node
	seen           map[string]bool
	comments       string
}

func (b *bindings) put(spec *yaml.Node, place int) {
	if len(b.c.blocked) > 0 {
		return
	}
	b.c.unique(spec, "params", b.params)
	b.c.unique(spec, "workspaces", b.spaces)
	add(spec, place, "params", b.params...)
	add(spec, afterKey(spec, "params"), "workspaces", b.spaces...)
	keep(spec, place, b.comments)
}

// bind puts the values of a resource into params, and what a Secret or a claim holds into
// workspaces. Of a git resource handed over says whether a workspace has it.
func (b *bindings) bind(binding *yaml.Node, handedOver, ofTask bool) {
	called := text(binding, "name")
	spec := get(binding, "resourceSpec")
	r, ok := b.c.resourceOf(binding)
	if !ok {
		return
	}
	b.c.supported(declared{name: called, kind: r.kind})
	for _, name := range r.unknown {
		b.c.note("param %q of PipelineResource %q is left out: Tekton has none of that name", name, r.name)
	}
	if !b.seen[called] {
		values := b.c.world.values(r, called, spec)
		spread(values, binding, get(binding, "name"), get(binding, "resourceRef", "name"))
		b.params = append(b.params, values...)
	}
	b.space(r, called, handedOver, ofTask)
	b.seen[called] = true
	if r.kind == "cloudEvent" {
		b.c.note("no event is sent to %s any more: see the TODO where the resource was declared", r.params["target-uri"])
	}
}

func (b *bindings) space(r resource, called string, handedOver, ofTask bool) {
	switch {
	case r.kind == "git" && handedOver && ofTask:
		b.spaces = append(b.spaces, mapping("name", outputSpace(called), "emptyDir", empty()))
	case r.kind == "git" && handedOver:
		b.spaces = append(b.spaces, mapping("name", called, "volumeClaimTemplate", mapping("spec", mapping(
			"accessModes", list("ReadWriteOnce"), "resources", mapping("requests", mapping("storage", "5Gi"))))))
		b.c.note("workspace %s is a claim of 5Gi, as Tekton made them for its artifacts: choose its size and class", called)
	case b.seen[called]:
	case r.kind == "cluster":
		secret := sanitized(firstOf(r.name, called) + "-kubeconfig")
		space := mapping("name", called, "secret", mapping("secretName", secret))
		b.c.todo(space, "create Secret %s with a kubeconfig for %s in its key kubeconfig", secret,
			firstOf(r.params["url"], "the cluster"))
		b.spaces = append(b.spaces, space)
	case r.kind == "storage" && len(r.secrets) > 0:
		item := mapping("key", r.secrets[0].key, "path", credentialsFile)
		b.spaces = append(b.spaces, mapping("name", credentialsSpace(called), "secret",
			mapping("secretName", r.secrets[0].secret, "items", list(item))))
	}
}

func firstOf(texts ...string) string {
	for _, one := range texts {
		if one != "" {
			return one
		}
	}
	return ""
}

// empty is {}.
func empty() *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: yaml.FlowStyle}
}

// resourceOf returns the resource that a run binds.
func (c *converter) resourceOf(binding *yaml.Node) (resource, bool) {
	if spec := get(binding, "resourceSpec"); spec != nil {
		var fields map[string]any
		if spec.Decode(&fields) != nil {
			c.block("resource %q cannot be read", text(binding, "name"))
			return resource{}, false
		}
		return c.world.resourceFrom("", fields), true
	}
	called := text(binding, "resourceRef", "name")
	if r, ok := c.local[called]; ok {
		return r, true
	}
	r, key, ok := lookup(c, resourcesOf, "PipelineResource", c.namespace, called)
	if !ok {
		c.block("PipelineResource %q, which resource %q refers to, is not among the files: name its file too", called,
			text(binding, "name"))
		return resource{}, false
	}
	c.uses = append(c.uses, key)
	return r, true
}

// pipelineRun converts the spec of a PipelineRun.
func (c *converter) pipelineRun(spec *yaml.Node) {
	c.lists(spec)
	rename(spec, "serviceAccount", "serviceAccountName")
	account := text(spec, "serviceAccountName")
	c.cancelled(spec, "Cancelled")
	c.timeouts(spec)
	c.taskRunSpecs(spec)
	c.taskRunTemplate(spec)
	place, comments := at(spec, "resources"), above(spec, "resources")
	resources := items(spec, "resources")
	take(spec, "resources")
	p, known := c.pipelineOf(spec)
	c.ref(get(spec, "pipelineRef"), "pipeline", account)
	c.pipelineSpec(get(spec, "pipelineSpec"), account)
	if !known && len(resources) > 0 {
		c.note("the Pipeline is not among the files: migrate it too, so that it has the params that its resources become")
	}
	b := bindings{c: c, seen: map[string]bool{}, comments: comments}
	for _, binding := range resources {
		b.bind(binding, p.produced[text(binding, "name")], false)
	}
	b.put(spec, place)
}

// pipelineOf returns what is known of the Pipeline of a run.
func (c *converter) pipelineOf(spec *yaml.Node) (pipeline, bool) {
	if embedded := get(spec, "pipelineSpec"); embedded != nil {
		var fields map[string]any
		if embedded.Decode(&fields) == nil {
			return pipelineFrom(fields), true
		}
	}
	p, _, known := lookup(c, pipelinesOf, "Pipeline", c.namespace, text(spec, "pipelineRef", "name"))
	return p, known
}

// timeouts moves the timeout of a PipelineRun. v1beta1 prefers it to timeouts.pipeline.
func (c *converter) timeouts(spec *yaml.Node) {
	i := at(spec, "timeout")
	if i < 0 {
		return
	}
	if dropped := get(spec, "timeouts"); dropped != nil {
		if _, value := take(spec, "timeout"); get(value) != nil {
			set(spec, "timeouts", mapping("pipeline", value))
			c.dropped(spec, dropped, text(value))
		}
		return
	}
	key := spec.Content[i]
	if get(spec.Content[i+1]) == nil {
		take(spec, "timeout")
		return
	}
	key.Value = "timeouts"
	spec.Content[i+1] = mapping("pipeline", spec.Content[i+1])
}

// dropped asks about timeouts that gave way to a timeout, as they do where Tekton converts.
func (c *converter) dropped(spec, timeouts *yaml.Node, kept string) {
	var lost []string
	for _, key := range keys(timeouts) {
		if value := text(timeouts, key); value != "" && (key != "pipeline" || value != kept) {
			lost = append(lost, key+": "+value)
		}
	}
	if len(lost) > 0 {
		c.todo(get(spec, "timeouts"), "both timeout and timeouts were set: timeout is timeouts.pipeline now, and %s was "+
			"dropped: add what you need again", strings.Join(lost, ", "))
	}
}

// taskRunSpecs gives the settings of single tasks their names of v1.
func (c *converter) taskRunSpecs(spec *yaml.Node) {
	for _, one := range items(spec, "taskRunSpecs") {
		rename(one, "taskServiceAccountName", "serviceAccountName")
		rename(one, "taskPodTemplate", "podTemplate")
		rename(one, "stepOverrides", "stepSpecs")
		rename(one, "sidecarOverrides", "sidecarSpecs")
		for _, key := range []string{"stepSpecs", "sidecarSpecs"} {
			for _, step := range items(one, key) {
				rename(step, "resources", "computeResources")
			}
		}
	}
	i := at(spec, "serviceAccountNames")
	if i < 0 {
		return
	}
	var made []*yaml.Node
	for _, one := range items(spec, "serviceAccountNames") {
		rename(one, "taskName", "pipelineTaskName")
		there := named(spec, "taskRunSpecs", "pipelineTaskName", text(one, "pipelineTaskName"))
		if there == nil {
			made = append(made, one)
			continue
		}
		if at(there, "serviceAccountName") < 0 {
			set(there, "serviceAccountName", get(one, "serviceAccountName"))
		}
	}
	if len(made) == 0 || get(spec, "taskRunSpecs") != nil {
		take(spec, "serviceAccountNames")
		add(spec, i, "taskRunSpecs", made...)
		return
	}
	spec.Content[i].Value = "taskRunSpecs"
}

// named returns the item of a list whose key has a value, or nil.
func named(node *yaml.Node, of, key, value string) *yaml.Node {
	for _, one := range items(node, of) {
		if text(one, key) == value {
			return one
		}
	}
	return nil
}

// taskRunTemplate moves what is for all tasks into the template, at the place of the first
// of it.
func (c *converter) taskRunTemplate(spec *yaml.Node) {
	place := -1
	var content []*yaml.Node
	for _, key := range keys(spec) {
		if key != "serviceAccountName" && key != "podTemplate" {
			continue
		}
		i := at(spec, key)
		if place < 0 {
			place = i
		}
		name, value := take(spec, key)
		if get(value) != nil && (value.Kind != yaml.ScalarNode || strings.TrimSpace(value.Value) != "") {
			content = append(content, name, value)
		}
	}
	if len(content) == 0 {
		return
	}
	if there := get(spec, "taskRunTemplate"); there != nil {
		there.Content = append(there.Content, content...)
		return
	}
	made := mapping()
	made.Content = content
	insert(spec, place, "taskRunTemplate", made)
	// A comment above the first field is above the template now.
	spec.Content[place].HeadComment, content[0].HeadComment = content[0].HeadComment, ""
}
