package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/mutator"
)

// The rules that edit steps.

// sets tells whether a podTemplate has a variable.
func sets(podTemplate map[string]any, name string) bool {
	env, _ := podTemplate["env"].([]any)
	return slices.ContainsFunc(env, func(e any) bool {
		fields, _ := e.(map[string]any)
		return fields["name"] == name
	})
}

// addEnv writes the operations that append a list of entries to the env of a step.
func addEnv(step, entries string) string {
	return fmt.Sprintf(`(has(%[1]s.step.env) ? %[2]s.map(e, %[3]s) : [%[4]s])`, step, entries,
		add(step+`.path + "/env/-"`, "e"), add(step+`.path + "/env"`, entries))
}

func (c *compiler) env() error {
	config := c.Config.Env
	if len(config.Set) == 0 || config.Disabled {
		return nil
	}
	r, ok := c.begin("env", config.Scope)
	if !ok {
		return nil
	}
	r.steps = true
	entries, byImage, err := c.envEntries(config.Set)
	if err != nil || entries == "" {
		return err
	}
	selected := all("!v.s.closed", r.scope.view)
	if byImage || r.scope.images {
		selected = all("!v.unknown", selected)
	}
	r.variables = []admissionv1.Variable{{Name: "entries", Expression: fmt.Sprintf(
		"variables.views.filter(v, %s).map(v, {\"s\": dyn(v.s), \"entries\": dyn(%s)})", selected, entries)}}
	r.ops = "variables.entries.filter(g, size(g.entries) > 0).map(g, " + addEnv("g.s", "g.entries") + ").flatten()"
	c.addBoth(r)
	return nil
}

// envEntries writes the list of entries that the view v lacks; "" means that a
// pattern cannot be written, or that Tekton sets all of them.
func (c *compiler) envEntries(set []mutator.EnvSet) (entries string, byImage bool, err error) {
	before := map[string][]string{} // conditions of those that set a variable already
	var parts []string
	for i, one := range set {
		condition, images, ok := selects(one.Steps)
		if !ok {
			c.leaveOut("env", "patterns",
				"mutator.env.set[%d].steps.names has a pattern with [ or \\, which is not translated: write it with * alone",
				i)
			return "", false, nil
		}
		byImage = byImage || images
		for _, variable := range one.Variables {
			if sets(c.Tekton.DefaultPodTemplate, variable.Name) {
				continue
			}
			entry, err := decoded(variable)
			if err != nil {
				return "", false, err
			}
			if why := c.Tekton.RefusesVariable(entry); why != "" {
				c.limit("env", "release", variable.Name+" is not set: "+why+", and would refuse the run")
				continue
			}
			part := envEntry(variable.Name, entry, condition, before[variable.Name])
			parts = append(parts, part)
			before[variable.Name] = append(before[variable.Name], condition)
		}
	}
	return strings.Join(parts, " +\n    "), byImage, nil
}

func envEntry(name string, entry map[string]any, condition string, before []string) string {
	lacking := all(condition, not(quote(name)+" in v.s.env"), not(some(before...)))
	return fmt.Sprintf("(%s ? [dyn(%s)] : [])", lacking, literal(entry))
}

func (c *compiler) caBundle() error {
	if config := c.Config.CABundle; config.ConfigMap != "" && !config.Disabled {
		c.leaveOut("ca-bundle", "ca-bundle",
			"the ConfigMap of the namespace has to be looked up, and a policy of other rules may change the same lists: leave it to the webhook")
	}
	return nil
}

func (c *compiler) resources() error {
	config := c.Config.Resources
	if len(config.Set) == 0 || config.Disabled {
		return nil
	}
	r, ok := c.begin("resources", config.Scope)
	if !ok {
		return nil
	}
	r.steps = true
	value, selected, byImage := "", []string{}, r.scope.images
	for i, set := range config.Set {
		condition, images, ok := selects(set.Steps)
		if !ok {
			c.leaveOut(r.id, "patterns",
				"mutator.resources.set[%d].steps.names has a pattern with [ or \\, which is not translated: write it with * alone",
				i)
			return nil
		}
		set.Steps = mutator.Steps{}
		fields, err := decoded(set)
		if err != nil {
			return err
		}
		delete(fields, "steps")
		byImage, selected = byImage || images, append(selected, condition)
		value += condition + " ? dyn(" + literal(fields) + ") : "
	}
	said := func(of string) string {
		return fmt.Sprintf(
			"(variables.resourcesKey in %[1]s && %[1]s[variables.resourcesKey] != null && size(%[1]s[variables.resourcesKey]) > 0)",
			of)
	}
	condition := all("!v.s.ref", not(said("v.s.step")), not(said("v.s.template")), "size(v.s.task.resources) == 0",
		not("v.s.task.overrides.exists(o, "+text("o", "name")+" == v.s.name)"), r.scope.view, some(selected...))
	if byImage {
		condition = all("!v.unknown", condition)
	}
	r.variables = []admissionv1.Variable{{Name: "resourcesKey",
		Expression: `object.apiVersion == "tekton.dev/v1" ? "computeResources" : "resources"`}}
	r.ops = "variables.views.filter(v, " + condition + ").map(v, " + add(`v.s.path + "/" + variables.resourcesKey`,
		value+"dyn({})") + ")"
	c.addBoth(r)
	return nil
}

// outranking are the variables beside DOCKER_CONFIG that decide, see
// mutator.pass.decided.
var outranking = []string{"DOCKER_CONFIG", authFile, "DOCKER_AUTH_CONFIG", "KANIKO_DIR"}

func (c *compiler) dockerConfig() error {
	config := c.Config.DockerConfig
	if config.Disabled || c.Tekton.CredsInitDisabled || sets(c.Tekton.DefaultPodTemplate, "DOCKER_CONFIG") ||
		sets(c.Tekton.DefaultPodTemplate, authFile) {
		return nil
	}
	if name := c.envOutranks(); name != "" {
		c.leaveOut("docker-config", "order",
			"mutator.env sets %s, before which docker-config has to look at a step, and policies have no order", name)
		return nil
	}
	r, ok := c.begin("docker-config", config.Scope)
	if !ok {
		return nil
	}
	r.steps, r.parameter = true, everyAccount()
	r.variables = []admissionv1.Variable{
		{Name: "credentials", Expression: c.credentials()},
		{Name: "builders", Expression: c.builders(r.scope, "b.s.task.account == params.metadata.name")},
	}
	r.ops = fmt.Sprintf("!variables.credentials ? [] : variables.builders.filter(b, %s).map(b, %s).flatten()",
		c.undecided(), c.addDockerEnv())
	c.add(r)
	c.add(c.resolvedDockerConfig(r.scope))
	c.limitAccounts(r.id)
	c.limit(r.id, "account-names",
		"a PipelineRun with serviceAccountNames, as Tekton before v0.31 knew them, is left alone")
	c.limit(r.id, "paths",
		"a step whose command or mount is written as no clean path, such as /a//b or ./crane, is left alone, since CEL cannot clean paths")
	c.limit(r.id, "kaniko-dir",
		"a step with --kaniko-dir or KANIKO_DIR is left alone, since the release in its tag decides whether Kaniko keeps DOCKER_CONFIG")
	c.limit(r.id, "auth-file",
		"a step with REGISTRY_AUTH_FILE is left alone, also if its program, docker or buildctl, does not read it")
	return nil
}

const authFile = "REGISTRY_AUTH_FILE"

// addDockerEnv writes the operations that give the builder b its variables.
func (c *compiler) addDockerEnv() string {
	entry := func(name, value string) any { return map[string]any{"name": name, "value": value} }
	one := []any{entry("DOCKER_CONFIG", c.Config.DockerConfig.Path)}
	two := append(slices.Clone(one), entry(authFile, path.Join(c.Config.DockerConfig.Path, "config.json")))
	return addEnv("b.s", fmt.Sprintf("(b.authFile ? %s : %s)", literal(two), literal(one)))
}

// envOutranks returns a variable of the rule env that would make docker-config leave
// a step alone.
func (c *compiler) envOutranks() string {
	if c.Config.Env.Disabled {
		return ""
	}
	for _, set := range c.Config.Env.Set {
		for _, v := range set.Variables {
			if slices.Contains(outranking, v.Name) {
				return v.Name
			}
		}
	}
	return ""
}

// credentials writes that the ServiceAccount of the evaluation lists a Secret that
// is no token, and has no identity at a cloud.
func (c *compiler) credentials() string {
	return all(
		"variables.tasks.exists(t, t.account == params.metadata.name)", not(c.identity()),
		"size("+list("object.spec", "serviceAccountNames")+") == 0",
		list("params", "secrets")+`.exists(s, !s.name.startsWith(params.metadata.name + "-token-"))`,
	)
}

// identity writes that the ServiceAccount of the evaluation has an identity at a cloud.
func (c *compiler) identity() string {
	return field("params.metadata", "annotations", "{}") + `.exists(k, k in ` + quotes(c.known.Identities) +
		` && params.metadata.annotations[k] != "")`
}

// builders are the steps that build and of which other conditions on the step b.s hold,
// with what they run.
func (c *compiler) builders(s scope, others ...string) string {
	var names, paths, repositories, patterns []string
	for _, b := range c.known.Builders {
		for _, command := range b.Commands {
			if strings.Contains(command, "/") {
				paths = append(paths, regexp.QuoteMeta(command))
				continue
			}
			names = append(names, regexp.QuoteMeta(command))
		}
		repositories = append(repositories, quoteMeta(b.Repositories)...)
		patterns = append(patterns, b.Expressions()...)
	}
	command := `^(?:` + strings.Join(paths, "|") + `)$|(?:^|/)(?:` + strings.Join(names, "|") + `)$`
	conditions := append([]string{`!b.unclean`, `(b.byCommand || ` +
		some(repositoryEnds("b.v", repositories), matchesAny("b.v", patterns)) + `)`}, others...)
	if s.images {
		conditions = append(conditions, "!b.v.unknown")
	}
	conditions = append(conditions, strings.ReplaceAll(strings.ReplaceAll(s.view, "v.repository", "b.v.repository"),
		"v.living", "b.v.living"))
	return fmt.Sprintf(`variables.views.map(v, [%s].map(w, [size(w) > 0 ? string(w[0]) : ""].map(n, {
  "v": dyn(v), "s": dyn(v.s), "program": dyn(n),
  "byCommand": dyn(n.matches(%s)),
  "unclean": dyn(n.matches("//|(^|/)[.][.]?(/|$)|./$"))
})[0])[0])
.filter(b, %s)
.map(b, {"s": b.s, "looks": dyn(%s), "authFile": dyn(%s)})`, given("command"), quote(command), all(conditions...),
		c.looks(), c.setsAuthFile())
}

// looks writes the number of the places where the builder b looks for credentials: see places.
func (c *compiler) looks() string {
	expression := "0"
	for _, b := range slices.Backward(c.known.Builders) {
		number := slices.IndexFunc(c.places(), func(folders []string) bool { return slices.Equal(folders, b.Configs) })
		expression = fmt.Sprintf("%s || (!b.byCommand && %s) ? %d : (%s)", starts(b), holds(b), number, expression)
	}
	return expression
}

// places are the lists of folders in which builders look, each once.
func (c *compiler) places() [][]string {
	var lists [][]string
	for _, b := range c.known.Builders {
		if !slices.ContainsFunc(lists, func(l []string) bool { return slices.Equal(l, b.Configs) }) {
			lists = append(lists, b.Configs)
		}
	}
	return lists
}

// setsAuthFile writes that the image of the builder b sets REGISTRY_AUTH_FILE.
func (c *compiler) setsAuthFile() string {
	var parts, before []string
	for _, b := range c.known.Builders { // the first that holds it counts
		if b.SetsAuthFile {
			parts = append(parts, all(holds(b), not(some(before...))))
		}
		before = append(before, holds(b))
	}
	return some(parts...)
}

// starts writes that the program of the builder b is one of the commands of a known one.
func starts(known builder.Builder) string {
	var programs []string
	for _, command := range known.Commands {
		start := "(?:^|/)"
		if strings.Contains(command, "/") {
			start = "^"
		}
		programs = append(programs, start+regexp.QuoteMeta(command)+"$")
	}
	return "b.program.matches(" + quote(strings.Join(programs, "|")) + ")"
}

// holds writes that the image of the builder b is one of a known one.
func holds(known builder.Builder) string {
	return some(repositoryEnds("b.v", quoteMeta(known.Repositories)), matchesAny("b.v", known.Expressions()))
}

func quoteMeta(texts []string) []string {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		out = append(out, regexp.QuoteMeta(t))
	}
	return out
}

// repositoryEnds writes that the repository of the view has one of the ends.
func repositoryEnds(view string, ends []string) string {
	if len(ends) == 0 {
		return ""
	}
	return view + ".repository.matches(" + quote("^[^/]+/(?:.*/)?(?:"+strings.Join(ends, "|")+")$") + ")"
}

// given writes a list of the step v, or else that of its stepTemplate.
func given(name string) string {
	return fmt.Sprintf("(size(%s) > 0 ? v.s.step.%s : %s)", list("v.s.step", name), name, list("v.s.template", name))
}

// undecided writes that nobody has said where the builder b finds its credentials,
// see mutator.pass.decided.
func (c *compiler) undecided() string {
	words := quote(strings.Join(quoteMeta(c.known.Deciding), "|"))
	says := func(name string) string {
		of := strings.ReplaceAll(given(name), "v.s.", "b.s.")
		return "!" + of + ".exists(w, w.matches(" + words + "))"
	}
	conditions := []string{
		"!b.s.closed",
		"!b.s.env.exists(n, n in " + quotes(outranking) + ")",
		"!" + text("b.s.step", "script") + ".matches(" + words + ")",
		says("command"), says("args"),
		"!" + mounts() + ".exists(m, " + some(
			`m.matches("(^|/)[.]docker(/|$)|(^|/)(auth[.]json|config[.]json)/*$")`,
			`m.matches("//|/[.][.]?(/|$)|^[.][.]?(/|$)")`,
			c.mounted(),
		) + ")",
	}
	return all(conditions...)
}

// mounts writes the paths of volumes and workspaces of the builder b, see
// mutator.readMounts.
func mounts() string {
	const bound = `(!b.s.task.known || !(has(w.optional) && w.optional == true) || b.s.task.bindings.exists(k, k.name == w.name))`
	declared := list("b.s.task.spec", "workspaces")
	usage := fmt.Sprintf(`(%s.exists(w, w.name == u.name) ? %s.exists(w, w.name == u.name && %s) : true)`, declared,
		declared, bound)
	return "(" + strings.Join([]string{
		list("b.s.template", "volumeMounts") + ".map(m, " + text("m", "mountPath") + ")",
		list("b.s.step", "volumeMounts") + ".map(m, " + text("m", "mountPath") + ")",
		declared + ".filter(w, " + text("w", "mountPath") + ` != "" && ` + bound + ").map(w, w.mountPath)",
		list("b.s.step", "workspaces") + ".filter(u, " + text("u", "mountPath") + ` != "" && ` + usage +
			").map(u, u.mountPath)",
	}, " +\n  ") + ")"
}

// mounted writes that the mount m supplies a folder of the builder b, a part of it or
// a folder above it.
func (c *compiler) mounted() string {
	var parts []string
	for number, folders := range c.places() {
		var at []string
		for _, folder := range folders {
			at = append(at, fmt.Sprintf(`("/" + m).matches(%s)`, quote(above(folder))), parameter(folder))
		}
		parts = append(parts, all(fmt.Sprintf("b.looks == %d", number), some(at...)))
	}
	return some(parts...)
}

// above is the regular expression of a folder, what lies in it and what lies above it.
func above(folder string) string {
	up := []string{}
	for at := folder; at != "/" && at != ""; at = at[:strings.LastIndex(at, "/")] {
		up = append(up, regexp.QuoteMeta(strings.TrimPrefix(at, "/")))
	}
	return "^/+(?:(?:" + strings.Join(up, "|") + ")?/?|" + regexp.QuoteMeta(strings.TrimPrefix(folder, "/")) + "/.*)$"
}

// parameter writes the same for a path with a parameter: what stands before it must
// rule the folder out.
func parameter(folder string) string {
	return fmt.Sprintf(
		`(m.contains("$(") && ["/" + (m.startsWith("/") ? m.substring(1) : m).split("$(")[0]].exists(k, %[1]s.startsWith(k) || k.startsWith(%[2]s)))`,
		quote(folder), quote(folder+"/"))
}

func (c *compiler) kaniko() error {
	k := c.Config.Kaniko
	if k.Disabled || !k.Command && k.Image == "" && len(k.Args)+len(k.RegistryMap) == 0 && k.RegistryMirror == "" {
		return nil
	}
	c.leaveOut("kaniko", "kaniko",
		"what Kaniko is given depends on the release in its tag, on its flags and on array parameters, which is not translated: leave it to the webhook")
	return nil
}
