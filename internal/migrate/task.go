package migrate

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// gone are the fields of steps that v1 does not have. Tekton passed them on to the
// container, where they had no use for a step.
var gone = []string{
	"ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "terminationMessagePath",
	"terminationMessagePolicy", "stdin", "stdinOnce", "tty",
}

// taskSpec converts the spec of a Task, or one that stands in a run or a Pipeline. Of the
// inputs in from a Pipeline says that they come from another of its tasks.
func (c *converter) taskSpec(spec *yaml.Node, from map[string]bool) {
	if spec == nil || spec.Kind != yaml.MappingNode {
		return
	}
	c.lists(spec)
	comments := joined(above(spec, "inputs", "outputs", "resources"),
		joined(above(get(spec, "inputs"), "resources"), above(get(spec, "outputs"), "resources")))
	place, t := c.declared(spec)
	c.containers(spec)
	c.substitute(spec, t)
	for _, d := range slices.Concat(t.inputs, t.outputs) {
		c.supported(d)
	}
	if len(c.blocked) == 0 {
		c.replaceResources(spec, place, t, from)
		keep(spec, place, comments)
	}
}

// lists blocks the conversion of a spec with another value where v1beta1 and v1 have a list.
func (c *converter) lists(spec *yaml.Node) {
	for _, key := range []string{"params", "workspaces", "results", "steps", "sidecars", "volumes", "tasks", "finally",
		"taskRunSpecs"} {
		if value := get(spec, key); value != nil && value.Kind != yaml.SequenceNode {
			c.block("%s is no list, so Tekton would not take it: correct it, and migrate again", key)
		}
	}
}

// supported blocks the conversion for a type that has no modern form.
func (c *converter) supported(d declared) {
	if strings.ContainsAny(d.name+d.target, "'\"\n\\$`") {
		c.block("resource %q has characters in its name or targetPath that no script may hold: choose others", d.name)
	}
	if _, known := types[d.kind]; known {
		return
	}
	hint := noForm[d.kind]
	if hint == "" {
		hint = "write a step that does what it did"
	}
	c.block("resource %q is of type %q, which has no modern form: %s", d.name, d.kind, hint)
}

// declared takes the declarations of params and resources out of a Task's spec, and returns
// where the resources stood.
func (c *converter) declared(spec *yaml.Node) (place int, t task) {
	place = -1
	if i := at(spec, "inputs"); i >= 0 {
		place = i
		inputs := get(spec, "inputs")
		t.inputs = append(t.inputs, declaredIn(inputs, "resources")...)
		key, params := take(inputs, "params")
		take(spec, "inputs")
		switch {
		case params == nil:
		case get(spec, "params") != nil:
			c.block("both inputs.params and params are set: merge them into params")
		default:
			spec.Content = slices.Insert(spec.Content, i, key, params)
			place = i + 2
		}
	}
	if i := at(spec, "outputs"); i >= 0 {
		if place < 0 {
			place = i
		}
		outputs := get(spec, "outputs")
		t.outputs = append(t.outputs, declaredIn(outputs, "resources")...)
		if get(outputs, "results") != nil {
			c.note("outputs.results was removed: Tekton never used it")
		}
		take(spec, "outputs")
	}
	if i := at(spec, "resources"); i >= 0 {
		if place < 0 {
			place = i
		}
		t.inputs = append(t.inputs, declaredIn(get(spec, "resources"), "inputs")...)
		t.outputs = append(t.outputs, declaredIn(get(spec, "resources"), "outputs")...)
		take(spec, "resources")
	}
	return place, t
}

func joined(one, other string) string { return strings.TrimSpace(one + "\n" + other) }

func declaredIn(holder *yaml.Node, key string) []declared {
	var all []declared
	for _, one := range items(holder, key) {
		all = append(all, declared{name: text(one, "name"), kind: text(one, "type"), target: text(one, "targetPath"),
			optional: text(one, "optional") == "true", comment: strings.Join(comments(one), "\n")})
	}
	return all
}

// containers gives the fields of steps, sidecars and the template their names of v1.
func (c *converter) containers(spec *yaml.Node) {
	steps := items(spec, "steps")
	if template := get(spec, "stepTemplate"); template != nil {
		steps = append(steps, template)
		if _, called := take(template, "name"); called != nil {
			c.note("stepTemplate.name was removed: v1 has no such field")
		}
	}
	for _, step := range steps {
		rename(step, "resources", "computeResources")
		for _, name := range gone {
			if key, _ := take(step, name); key != nil {
				c.note("%s of step %q was removed: v1 has no such field", name, text(step, "name"))
			}
		}
		c.ref(get(step, "ref"), "stepaction", "")
	}
	for _, sidecar := range items(spec, "sidecars") {
		rename(sidecar, "resources", "computeResources")
	}
}

// variable finds the variables that Tekton no longer has: of resources, and of the params
// of v1alpha1.
var variable = lazyregexp.New(
	`\$\((?:(?:resources\.(inputs|outputs)|(inputs|outputs)\.resources)\.([^.()\s]+)\.([^()\s]+)|inputs\.params([.\[][^()]+))\)`)

// substitute replaces these variables in all texts of a Task.
func (c *converter) substitute(spec *yaml.Node, t task) {
	eachText(spec, func(node *yaml.Node) {
		if !strings.Contains(node.Value, "$(") {
			return
		}
		node.Value = variable.ReplaceAllStringFunc(node.Value, func(found string) string {
			m := variable.FindStringSubmatch(found)
			if m[5] != "" {
				return "$(params" + m[5] + ")"
			}
			now, err := c.valueOf(t, m[1]+m[2] == "outputs", m[3], m[4])
			if err != nil {
				c.block("%s: %v", found, err)
				return found
			}
			return now
		})
	})
}

// valueOf returns what takes the place of a variable of a resource.
func (c *converter) valueOf(t task, output bool, called, field string) (string, error) {
	side := t.inputs
	if output {
		side = t.outputs
	}
	i := slices.IndexFunc(side, func(d declared) bool { return d.name == called })
	if i < 0 {
		return "", fmt.Errorf("the Task declares no such resource: declare it, or remove the variable")
	}
	d := side[i]
	switch field {
	case "name":
		return d.name, nil
	case "type":
		return d.kind, nil
	case "path":
		return d.path(output), nil
	}
	for _, f := range c.world.fieldsOf(d.kind) {
		if f.name == field {
			return reference(paramName(d.name, f)), nil
		}
	}
	return "", fmt.Errorf("no param takes the place of this value of a resource of type %s: pass it in a param or a Secret",
		d.kind)
}

// replacement is what takes the place of a Task's resources.
type replacement struct {
	c                       *converter
	spec                    *yaml.Node
	params, spaces, results []*yaml.Node
	before, after           []*yaml.Node // steps
	seen                    map[string]bool
}

// replaceResources puts params, workspaces, results and steps in the place of a Task's
// resources.
func (c *converter) replaceResources(spec *yaml.Node, place int, t task, from map[string]bool) {
	r := replacement{c: c, spec: spec, seen: map[string]bool{}}
	for _, d := range t.inputs {
		r.input(d, from[d.name])
	}
	for _, d := range t.outputs {
		r.output(d)
	}
	c.unique(spec, "params", r.params)
	c.unique(spec, "workspaces", r.spaces)
	c.unique(spec, "results", r.results)
	add(spec, place, "params", r.params...)
	add(spec, afterKey(spec, "params"), "workspaces", r.spaces...)
	add(spec, afterKey(spec, "workspaces", "params"), "results", r.results...)
	prepend(spec, "steps", r.before...)
	add(spec, -1, "steps", r.after...)
}

// declare adds the params of a resource. It reports whether the Task had none of its name:
// an input and an output of one name have the same params.
func (r *replacement) declare(d declared) bool {
	if r.seen[d.name] {
		return false
	}
	r.seen[d.name] = true
	r.params = append(r.params, r.c.world.declarations(d)...)
	return true
}

func (r *replacement) input(d declared, handedOver bool) {
	r.declare(d)
	switch d.kind {
	case "git":
		if handedOver {
			space := mapping("name", inputSpace(d.name), "mountPath", d.path(false), "optional", true)
			r.spaces = append(r.spaces, space)
		}
		r.before = append(r.before, r.c.gitStep(d, r.c.stepName(r.spec, "git-source-"+d.name), handedOver))
		r.results = append(r.results,
			mapping("name", commitResult(d.name), "description", "the commit that was fetched"))
	case "storage":
		r.spaces = append(r.spaces, credentials(d))
		r.before = append(r.before, r.c.storageStep(d, r.c.stepName(r.spec, "fetch-"+d.name), false))
	case "cluster":
		r.spaces = append(r.spaces, clusterSpace(d))
	}
}

func (r *replacement) output(d declared) {
	first := r.declare(d)
	switch d.kind {
	case "git":
		r.spaces = append(r.spaces, mapping("name", outputSpace(d.name), "mountPath", d.path(true)))
	case "image":
		r.c.outputFolder(r.spec, d)
	case "storage":
		r.c.outputFolder(r.spec, d)
		if first {
			r.spaces = append(r.spaces, credentials(d))
		}
		r.after = append(r.after, r.c.storageStep(d, r.c.stepName(r.spec, "upload-"+d.name), true))
	case "cloudEvent":
		r.c.todo(r.spec, "no event is sent to %q any more: set sink in Tekton's ConfigMap config-events, which is for all runs, or add a step that sends it",
			d.name)
	}
}

func credentials(d declared) *yaml.Node {
	return mapping("name", credentialsSpace(d.name), "description",
		"the key of a service account of Google's, as "+credentialsFile, "optional", true)
}

func clusterSpace(d declared) *yaml.Node {
	space := mapping("name", d.name, "description", "the file kubeconfig", "mountPath", d.path(false))
	if d.optional {
		set(space, "optional", true)
	}
	return space
}

// unique blocks the conversion if a name that it needs is taken.
func (c *converter) unique(spec *yaml.Node, key string, wanted []*yaml.Node) {
	for _, one := range wanted {
		for _, there := range items(spec, key) {
			if text(there, "name") == text(one, "name") {
				c.block("%s has %q already, which is needed for a PipelineResource: give it another name", key,
					text(one, "name"))
			}
		}
	}
}

// afterKey returns the position behind the first of the keys that is there, or -1.
func afterKey(node *yaml.Node, keys ...string) int {
	for _, key := range keys {
		if i := at(node, key); i >= 0 {
			return i + 2
		}
	}
	return -1
}

// outputFolder makes the folder of an output, if the Task uses it: Tekton did so before the
// first step. A volume does it without an image.
func (c *converter) outputFolder(spec *yaml.Node, d declared) {
	folder := d.path(true)
	used := d.kind != "image"
	eachText(spec, func(node *yaml.Node) { used = used || strings.Contains(node.Value, folder) })
	if !used {
		return
	}
	if d.kind == "image" {
		c.todo(spec, "let a step write the digest of image %q to a result, such as IMAGE_DIGEST: Tekton took it from index.json in %s",
			d.name, folder)
	}
	volume := sanitized("output-" + d.name)
	add(spec, -1, "volumes", mapping("name", volume, "emptyDir", &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map",
		Style: yaml.FlowStyle}))
	add(below(spec, "stepTemplate"), -1, "volumeMounts", mapping("name", volume, "mountPath", folder))
}

var notInNames = lazyregexp.New(`[^a-z0-9-]+`)

// sanitized makes a name of Kubernetes' of a text.
func sanitized(text string) string {
	text = notInNames.ReplaceAllString(strings.ToLower(text), "-")
	return strings.Trim(text[:min(len(text), 63)], "-")
}

// stepName returns a name that no step has.
func (c *converter) stepName(spec *yaml.Node, wanted string) string {
	wanted = sanitized(wanted)
	called := wanted
	for n := 2; slices.ContainsFunc(items(spec, "steps"),
		func(step *yaml.Node) bool { return text(step, "name") == called }); n++ {
		called = fmt.Sprintf("%s-%d", wanted, n)
	}
	return called
}
