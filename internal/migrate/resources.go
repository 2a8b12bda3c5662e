package migrate

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// field is a param of a PipelineResource, and the param of a Task that takes its place.
type field struct {
	name     string // as $(resources…) spells it
	param    string // what follows the resource's name and a dash
	fallback string // what Tekton took where it was not set
	always   bool   // whether each resource of the type has the param
	control  bool   // whether it is for Tekton alone and no param takes its place
}

// resourceType is a type of PipelineResources.
type resourceType struct {
	fields []field
	passed bool // whether every param that a resource sets matters to the steps
}

// types are the types that have a modern form. The fields and their defaults are those of
// pkg/apis/resource/v1alpha1 of Pipelines v0.27.
var types = map[string]resourceType{
	"git": {passed: true, fields: []field{
		{name: "url", param: "url", always: true},
		{name: "revision", param: "revision", always: true},
		{name: "refspec", param: "refspec"},
		{name: "submodules", param: "submodules", fallback: "true"},
		{name: "depth", param: "depth", fallback: "1"},
		{name: "sslVerify", param: "ssl-verify", fallback: "true"},
		{name: "httpProxy", param: "http-proxy"},
		{name: "httpsProxy", param: "https-proxy"},
		{name: "noProxy", param: "no-proxy"},
	}},
	"image": {passed: true, fields: []field{
		{name: "url", param: "url", always: true},
		{name: "digest", param: "digest"},
	}},
	"storage": {passed: true, fields: []field{
		{name: "location", param: "location", always: true},
		{name: "dir", param: "dir"},
		{name: "type", control: true},
	}},
	"cluster": {fields: []field{
		{name: "url", param: "url"},
		{name: "revision", param: "revision"},
		{name: "username", param: "username"},
		{name: "namespace", param: "namespace"},
		{name: "insecure", param: "insecure", fallback: "false"},
		{name: "password", control: true},
		{name: "token", control: true},
		{name: "cadata", control: true},
		{name: "clientKeyData", control: true},
		{name: "clientCertificateData", control: true},
	}},
	"cloudEvent": {fields: []field{{name: "target-uri", control: true}}},
}

// noForm says of types that have no modern form what to do.
var noForm = map[string]string{
	"pullRequest": "write a step that asks the forge's API, or take the values from the event",
	"build-gcs":   "write a step that fetches the archive",
}

// fieldOf returns the field that a param of a resource sets. Tekton ignored the case, and
// for cloudEvent the dash.
func fieldOf(kind, param string) (string, bool) {
	for _, f := range types[kind].fields {
		if strings.EqualFold(f.name, param) || strings.EqualFold(strings.ReplaceAll(f.name, "-", ""), param) {
			return f.name, true
		}
	}
	return "", false
}

// fieldsOf returns the fields of a type for which Tasks and Pipelines have params.
func (w *world) fieldsOf(kind string) []field {
	var all []field
	for _, f := range types[kind].fields {
		if !f.control && (f.always || w.extra[kind][f.name]) {
			all = append(all, f)
		}
	}
	return all
}

// paramName is the param that takes the place of a resource's field.
func paramName(of string, f field) string { return of + "-" + f.param }

// reference is $(params.NAME), with brackets where the name has a dot.
func reference(param string) string {
	if strings.Contains(param, ".") {
		return `$(params["` + param + `"])`
	}
	return "$(params." + param + ")"
}

// declarations returns the params that a Task or a Pipeline declares for a resource.
func (w *world) declarations(d declared) []*yaml.Node {
	var all []*yaml.Node
	for n, f := range w.fieldsOf(d.kind) {
		param := mapping("name", paramName(d.name, f), "type", "string")
		if !f.always || f.name == "revision" || d.optional {
			set(param, "default", f.fallback)
		}
		if n == 0 {
			param.HeadComment = d.comment
		}
		all = append(all, param)
	}
	return all
}

// passing returns the params by which a Pipeline passes one of its resources to a Task.
func (w *world) passing(kind, to, from string) []*yaml.Node {
	var all []*yaml.Node
	for _, f := range w.fieldsOf(kind) {
		all = append(all, mapping("name", paramName(to, f), "value", reference(paramName(from, f))))
	}
	return all
}

// values returns the params by which a run passes a resource. The values are those of the
// resourceSpec, if there is one, with their comments.
func (w *world) values(r resource, to string, spec *yaml.Node) []*yaml.Node {
	nodes := map[string]*yaml.Node{}
	for _, param := range items(spec, "params") {
		if called, ok := fieldOf(r.kind, text(param, "name")); ok {
			nodes[called] = get(param, "value")
		}
	}
	var all []*yaml.Node
	for _, f := range w.fieldsOf(r.kind) {
		value, given := r.params[f.name]
		if !given {
			continue
		}
		node := nodes[f.name]
		if node == nil || node.Kind != yaml.ScalarNode || node.Anchor != "" {
			node = str(value)
		}
		all = append(all, mapping("name", paramName(to, f), "value", node))
	}
	return all
}

// spread puts the comments of a binding on the first of what replaces it: those beside its
// name and its value there, all others above.
func spread(params []*yaml.Node, binding, name, value *yaml.Node) {
	if len(params) == 0 {
		return
	}
	first := params[0]
	var beside []string
	for to, from := range map[string]*yaml.Node{"name": name, "value": value} {
		if from == nil || from.LineComment == "" {
			continue
		}
		beside = append(beside, from.LineComment)
		if node := get(first, to); node.LineComment == "" {
			node.LineComment = from.LineComment
		}
	}
	for _, one := range comments(binding) {
		if !slices.Contains(beside, one) && !slices.Contains(comments(first), one) {
			first.HeadComment = joined(first.HeadComment, one)
		}
	}
}

// comments returns the comments below a node, in order.
func comments(node *yaml.Node) []string {
	var all []string
	for _, one := range []string{node.HeadComment, node.LineComment} {
		if one != "" {
			all = append(all, one)
		}
	}
	for _, child := range node.Content {
		all = append(all, comments(child)...)
	}
	if node.FootComment != "" {
		all = append(all, node.FootComment)
	}
	return all
}

// gitStep is the step that fetches a git input, as the one did that Tekton put there:
// /ko-app/git-init of Pipelines v0.38. Its home is /tekton/home, so that the credentials
// of the ServiceAccount are there for the steps after it, as they were.
func (c *converter) gitStep(d declared, stepName string, shared bool) *yaml.Node {
	has := map[string]bool{}
	for _, f := range c.world.fieldsOf("git") {
		has[f.name] = true
	}
	env := list(mapping("name", "HOME", "value", "/tekton/home"))
	for _, v := range []struct{ variable, field string }{
		{"URL", "url"}, {"REVISION", "revision"}, {"REFSPEC", "refspec"}, {"SUBMODULES", "submodules"},
		{"DEPTH", "depth"}, {"SSL_VERIFY", "sslVerify"}, {"HTTP_PROXY", "httpProxy"}, {"HTTPS_PROXY", "httpsProxy"},
		{"NO_PROXY", "noProxy"},
	} {
		for _, f := range types["git"].fields {
			if f.name == v.field && has[f.name] {
				env.Content = append(env.Content,
					mapping("name", v.variable, "value", reference(paramName(d.name, f))))
			}
		}
	}
	script := str(gitScript(d, has, shared))
	script.Style = yaml.LiteralStyle
	return mapping("name", stepName, "image", c.options.GitImage, "workingDir", "/workspace", "env", env,
		"script", script)
}

// gitScript is the script of a step that fetches a git input. Values that come from outside
// are in variables only, never in the script's text.
func gitScript(d declared, has map[string]bool, shared bool) string {
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	line("#!/bin/sh")
	line("set -eu")
	if shared {
		line(`if [ "$(workspaces.%s.bound)" = true ]; then exit 0; fi # what the task before left there`, inputSpace(d.name))
	}
	if d.optional {
		line(`if [ -z "$URL" ]; then exit 0; fi`)
	}
	line(`if [ -f "$HOME/.ssh/config" ]; then`)
	line(`  GIT_SSH_COMMAND="ssh -F $HOME/.ssh/config -o UserKnownHostsFile=$HOME/.ssh/known_hosts"`)
	line(`  if [ ! -f "$HOME/.ssh/known_hosts" ]; then`)
	line(`    GIT_SSH_COMMAND="$GIT_SSH_COMMAND -o StrictHostKeyChecking=accept-new"`)
	line(`  fi`)
	line(`  export GIT_SSH_COMMAND`)
	line(`fi`)
	into := d.path(false)
	line("git init --quiet '%s'", into)
	line("cd '%s'", into)
	line("git config --global --add safe.directory '%s'", into)
	line(`git remote add origin "$URL"`)
	if has["sslVerify"] {
		line(`git config http.sslVerify "$SSL_VERIFY"`)
	}
	gitFetch(line, has)
	line(`git rev-parse HEAD | tr -d '\n' > "$(results.%s.path)"`, commitResult(d.name))
	return s.String()
}

// gitFetch writes the lines that fetch a revision. What the resources do not set needs no
// variable.
func gitFetch(line func(string, ...any), has map[string]bool) {
	flags, depth := "--quiet --update-head-ok --force", "--depth=1"
	if has["depth"] {
		line(`depth=; if [ "$DEPTH" != 0 ]; then depth="--depth=$DEPTH"; fi`)
		depth = "$depth"
	}
	submodules, update := "--recurse-submodules=yes", "git submodule update --quiet --init --recursive "+depth
	if has["submodules"] {
		line(`submodules=; if [ "$SUBMODULES" != false ]; then submodules=--recurse-submodules=yes; fi`)
		submodules, update = "$submodules", `if [ "$SUBMODULES" != false ]; then `+update+"; fi"
	}
	fetch := "git fetch " + flags + " " + depth + " " + submodules + " -- origin "
	if has["refspec"] {
		line(`if [ -n "$REFSPEC" ]; then`)
		line("  %s$REFSPEC # several are divided by spaces", fetch)
		line(`  git checkout --quiet --force "$REVISION"`)
		line("else")
		line(`  %s"${REVISION:-HEAD}"`, fetch)
		line("  git checkout --quiet --force FETCH_HEAD")
		line("fi")
	} else {
		line(`%s"${REVISION:-HEAD}"`, fetch)
		line("git checkout --quiet --force FETCH_HEAD")
	}
	line("%s", update)
}

// commitResult is the result that says which commit a git step fetched.
func commitResult(resource string) string { return resource + "-commit" }

// inputSpace and outputSpace are the workspaces by which tasks hand over a git resource.
func inputSpace(resource string) string  { return resource + "-input" }
func outputSpace(resource string) string { return resource + "-output" }

// credentialsSpace is the workspace with the key of a service account of Google's.
func credentialsSpace(resource string) string { return resource + "-credentials" }

// credentialsFile is the name of that key.
const credentialsFile = "service-account.json"

// storageStep is the step that fetches or stores what a resource of type storage names, as
// gsutil did it for Tekton.
func (c *converter) storageStep(d declared, stepName string, output bool) *yaml.Node {
	env := list(mapping("name", "HOME", "value", "/tekton/home"))
	dir := false
	for _, f := range c.world.fieldsOf("storage") {
		variable := map[string]string{"location": "LOCATION", "dir": "DIR"}[f.name]
		dir = dir || f.name == "dir"
		env.Content = append(env.Content, mapping("name", variable, "value", reference(paramName(d.name, f))))
	}
	from, to, folder := `"$LOCATION"`, "'"+d.path(output)+"'", "'"+d.path(output)+"'"
	copied := from
	if output {
		from, to = to, from
		copied = from + "/*"
	}
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	line("#!/usr/bin/env bash")
	line("set -eu")
	if d.optional {
		line(`if [ -z "$LOCATION" ]; then exit 0; fi`)
	}
	line(`if [ "$(workspaces.%s.bound)" = true ]; then`, credentialsSpace(d.name))
	line(`  gcloud auth activate-service-account --key-file="$(workspaces.%s.path)/%s"`, credentialsSpace(d.name),
		credentialsFile)
	line("fi")
	line("mkdir -p %s", folder)
	switch {
	case dir:
		line(`if [ -n "$DIR" ]; then gsutil rsync -d -r %s %s; else gsutil cp %s %s; fi`, from, to, copied, to)
	default:
		line("gsutil cp %s %s", copied, to)
	}
	script := str(s.String())
	script.Style = yaml.LiteralStyle
	return mapping("name", stepName, "image", c.options.StorageImage, "env", env, "script", script)
}
