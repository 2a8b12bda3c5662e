package mutator

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/mutator/builder"
	"github.com/tekgate/tekgate/mutator/record"
)

var kanikoRule = Rule{
	ID:    "kaniko",
	Kinds: slices.Concat(withSteps, pods),
	Doc: `Gives steps that run Kaniko the defaults of the house.

` + "`mutator.kaniko.image`" + ` takes the place of Kaniko's public images: a repository keeps
the author's tag, one with a tag keeps its flavour (` + "`debug`, `slim`" + `). The project that
published gcr.io/kaniko-project/executor was archived in June 2025; the line that
is maintained is ghcr.io/osscontainertools/kaniko. Without it images stay. So do
warmers, and images of which a parameter is left, or is a Task's default that a run
may change.

` + "`mutator.kaniko.command`" + `, on by default, sets the command to /kaniko/executor where a
step has neither command nor script and its image is known to start it. Tekton's
controller then need not ask a registry for the image's entrypoint, which it
cannot where the registry is out of reach (tektoncd/pipeline#6551).

` + "`mutator.kaniko.registryMap` and `registryMirror`" + ` become the environment variables
KANIKO_REGISTRY_MAP and KANIKO_REGISTRY_MIRROR, unless the step has the variable,
envFrom, or the flag of that name. Images before v1.21 ignore the map, and those
before v1.9 both; no image fails for a variable that it does not know. Kaniko looks
Docker Hub up as index.docker.io, so that is what docker.io is written as. The
annotation tekgate.dev/set-variables records by a hash what the rule set: if such a run
is created again, the values follow the configuration.

` + "`mutator.kaniko.args`" + ` are put before the author's arguments, so that the author's
count: of most flags the last one does. An argument is left out if

- the author gives the flag, in any spelling (--flag=value, --flag value, -v, the
  deprecated --snapshotMode);
- the release in the image's tag does not know it and would end with "unknown
  flag". A tag without a release, such as latest, counts as v1.6;
- its values add up and the author's arguments hold an array parameter that is not
  known;
- the step runs a script, another program, or a warmer; or its arguments come from
  its stepTemplate.

Refused as defaults, with their reasons: --insecure, --skip-tls-verify and their
twins for pulling, --single-snapshot, --use-new-run, --reproducible, --cleanup, and
whatever says what is built or where it goes.

Steps that a StepAction defines are left alone. In a Pod only the variables are
added.`,
	scope: func(s *settings) *scope { return &s.scopes.kaniko },
	apply: applyKaniko,
}

// kanikoDefaults are a Kaniko section, prepared.
type kanikoDefaults struct {
	image *image.Reference
	name  string // of the image, in full
	args  []kanikoArg
	env   []kanikoVariable
}

type kanikoArg struct {
	kaniko.Flag
	word string
}

type kanikoVariable struct {
	name  string
	entry map[string]any
	sum   string      // of the value, see record.Sum
	flag  kaniko.Flag // that says the same
}

func kanikoVariableOf(name, value string, flag kaniko.Flag) kanikoVariable {
	return kanikoVariable{name, map[string]any{"name": name, "value": value}, record.Sum(value), flag}
}

// kanikoVariables are the names of those that the rule sets.
var kanikoVariables = []string{registryMap, registryMirror}

const (
	registryMap    = "KANIKO_REGISTRY_MAP"
	registryMirror = "KANIKO_REGISTRY_MIRROR"
)

func (s *settings) compileKaniko() error {
	c := checker{section: "kaniko"}
	k := s.Kaniko
	for _, word := range k.Args {
		s.kanikoArg(&c, word)
	}
	if k.Image != "" {
		ref, err := image.Parse(k.Image)
		if err != nil {
			c.problem("image: %v", err)
		} else {
			s.kaniko.image, s.kaniko.name = &ref, ref.String()
			s.builders = slices.Clone(s.builders)
			s.builders[0].Patterns = compileImages([]string{ref.Repository()}, "image", c.problem) // of Kaniko
		}
	}
	if value := s.registryMap(&c); value != "" {
		s.kaniko.env = append(s.kaniko.env, kanikoVariableOf(registryMap, value,
			kaniko.Flag{Name: "registry-map"}))
	}
	if k.RegistryMirror != "" {
		checkRegistry(&c, "registryMirror", k.RegistryMirror)
		s.kaniko.env = append(s.kaniko.env, kanikoVariableOf(registryMirror, k.RegistryMirror,
			kaniko.Flag{Name: "registry-mirror"}))
	}
	on := k.Command || s.kaniko.image != nil || len(s.kaniko.args)+len(s.kaniko.env) > 0
	s.scopes.kaniko = compileScope(k.Scope, on, true, c.problem)
	return c.err()
}

// kanikoArg checks one default argument.
func (s *settings) kanikoArg(c *checker, word string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
	i := slices.IndexFunc(kaniko.Flags, func(f kaniko.Flag) bool { return f.Name == name })
	switch {
	case !strings.HasPrefix(word, "--"):
		c.problem("args: %q is not a flag: write --flag=value as one word", word)
	case strings.ContainsAny(word, "$\n"):
		c.problem("args: %q holds a variable or a line break, which have no place in a default", word)
	case i < 0:
		if near := suggest.Closest(name, kaniko.Names()); near != "" {
			c.problem("args: --%s is not a flag of Kaniko: did you mean --%s?", name, near)
			return
		}
		c.problem("args: --%s is not a flag of Kaniko that Tekgate knows", name)
	case kaniko.Flags[i].Never != "":
		c.problem("args: --%s is no default, since %s", name, kaniko.Flags[i].Never)
	default:
		s.kaniko.args = append(s.kaniko.args, kanikoArg{kaniko.Flags[i], word})
	}
}

// registryMap returns the value of KANIKO_REGISTRY_MAP, "" for none. Kaniko knows
// Docker Hub by the name index.docker.io alone (pkg/image/remote, v1.24.0).
func (s *settings) registryMap(c *checker) string {
	var pairs []string
	for _, from := range slices.Sorted(maps.Keys(s.Kaniko.RegistryMap)) {
		to := s.Kaniko.RegistryMap[from]
		checkRegistry(c, fmt.Sprintf("registryMap[%q]", from), to)
		if strings.ContainsAny(from, ";=/ ") || from == "" {
			c.problem("registryMap: %q is not a registry: write its host, such as docker.io", from)
		}
		if from == "docker.io" {
			from = "index.docker.io"
		}
		pairs = append(pairs, from+"="+to)
	}
	return strings.Join(pairs, ";")
}

func checkRegistry(c *checker, at, registry string) {
	if _, err := image.Parse(registry + "/a"); err != nil || strings.ContainsAny(registry, ";= @") ||
		strings.Contains(registry, "://") {
		c.problem("%s: %q is not a registry: write host and path without a scheme, such as registry.example.com/hub",
			at, registry)
	}
}

func applyKaniko(_ context.Context, p *pass) {
	if len(p.tasks()) == 0 {
		p.not("", "no steps are written out in it")
	}
	for _, task := range p.tasks() {
		for _, v := range p.views(task) {
			p.kaniko(v)
		}
	}
}

func (p *pass) kaniko(v *view) {
	if b := p.settings.builds(v); b == nil || b.Name != builder.Kaniko {
		p.notStep(v, "neither its command nor its image is Kaniko's")
		return
	}
	if why := p.excludesImage(&p.settings.scopes.kaniko, v.known); why != "" {
		p.notStep(v, why)
		return
	}
	if v.ref {
		p.notStep(v, "a StepAction defines it, beside which Tekton allows nothing else")
		return
	}
	p.kanikoEnv(v)
	if v.step.InPod() {
		return
	}
	release := p.kanikoRelease(v)
	if image := p.kanikoImage(v); image != "" {
		release = p.settings.image(image).release
	}
	p.kanikoCommand(v)
	p.kanikoArgs(v, release)
}

func (p *pass) kanikoEnv(v *view) {
	p.kanikoFollow(v)
	words := p.expand(v)
	for _, variable := range p.settings.kaniko.env {
		why := v.closed()
		switch {
		case v.variable(variable.name) != nil:
			why = variable.name + " is set already"
		case setsEnv(p.tekton.DefaultPodTemplate, variable.name):
			why = "Tekton's default-pod-template sets " + variable.name
		case words == nil:
			why = "its arguments hold an array parameter, which may say --" + variable.flag.Name
		case variable.flag.Given(words):
			why = "its arguments say --" + variable.flag.Name
		case v.says([]string{variable.name, "--" + variable.flag.Name}) != "":
			why = "what it runs speaks of " + variable.name
		}
		if why != "" {
			p.notStep(v, why)
			continue
		}
		v.add(variable.entry)
		p.rememberVariable(variable.name, variable.sum)
		p.did(v.place(), "set "+variable.name)
	}
}

// kanikoFollow makes the variables that the rule set before follow the configuration: the run
// is created again, and the mirror's address may have changed.
func (p *pass) kanikoFollow(v *view) {
	for _, name := range kanikoVariables {
		value, is := v.ownValue(name)
		if !is || v.step.InPod() || !p.variables.Set(name, value) {
			continue
		}
		i := slices.IndexFunc(p.settings.kaniko.env, func(k kanikoVariable) bool { return k.name == name })
		switch {
		case i < 0:
			v.replace(name, nil)
			p.rememberVariable(name, "")
			p.did(v.place(), "removed "+name+", which the configuration does not set any more")
		case p.settings.kaniko.env[i].entry["value"] != value:
			v.replace(name, p.settings.kaniko.env[i].entry)
			p.rememberVariable(name, p.settings.kaniko.env[i].sum)
			p.did(v.place(), "set "+name+" in place of an earlier value")
		}
	}
}

// kanikoImage returns the image that took the place of the author's, or "".
func (p *pass) kanikoImage(v *view) string {
	house := p.settings.kaniko.image
	written, _ := v.step.Fields["image"].(string)
	if house == nil || written == "" {
		return "" // a stepTemplate's image is that of other steps too
	}
	why := ""
	known := p.settings.image(v.known)
	ref, to := known.ref, known.house
	switch {
	case isVariable(written) || !v.certain || known.err != nil:
		why = "its image is not known, or may become another"
	case known.program != kanikoExecutor:
		why = "its image is none of Kaniko's executor"
	case written == v.known && to.is:
		why = "its image is the house's"
	case to.is, p.settings.isReplaced(written, to):
		why = "its image was replaced already"
	case house.Digest != "" && flavour(ref.Tag) != "":
		why = fmt.Sprintf("its image is the flavour %s, and mutator.kaniko.image is pinned by a digest",
			flavour(ref.Tag))
	case to.Tag == "" && to.Digest == "":
		why = "its image has no tag, and mutator.kaniko.image has none either"
	}
	if why != "" {
		p.notStep(v, why)
		return ""
	}
	v.step.Fields["image"] = to.text
	v.image, v.filled = to.text, to.text
	p.remember(to.text, written)
	p.renamed = true
	if ref.Digest != "" && to.Digest == "" {
		p.warn("%s: %s was pinned by its digest, and the house's %s is not", v.place(), v.known, to.text)
	}
	p.did(v.place(), to.did)
	return to.text
}

// isReplaced tells whether an image is what the rules make of one of Kaniko's.
func (s *settings) isReplaced(written string, to houseImage) bool {
	return written == to.text || s.images != nil && s.mirrorOf(to.text).to == written
}

// findHouse returns what the house has for an image of Kaniko's executor.
func (s *settings) findHouse(text string, ref image.Reference) houseImage {
	to := *s.kaniko.image
	to.Tag = houseTag(ref, to)
	name := to.String()
	return houseImage{to, name, "took the house's Kaniko " + name + " in place of " + text, s.isHouse(ref)}
}

// isHouse tells whether an image is in the house's repository, or where a mirror
// has that.
func (s *settings) isHouse(ref image.Reference) bool {
	if ref.Repository() == s.kaniko.image.Repository() {
		return true
	}
	if s.images == nil || !s.scopes.images.on {
		return false
	}
	mirrored := s.mirrorOf(s.kaniko.name)
	return mirrored.to != "" && ref.Repository() == mirrored.To.Repository()
}

// houseTag returns the tag in the house's repository for an author's image.
func houseTag(author, house image.Reference) string {
	if house.Tag == "" {
		if author.Tag == "" && author.Digest == "" {
			return "latest"
		}
		return author.Tag
	}
	if f := flavour(author.Tag); f != "" && !strings.HasSuffix(house.Tag, f) {
		return house.Tag + "-" + f
	}
	return house.Tag
}

// flavour returns which of Kaniko's images a tag names: debug has a shell, slim
// has no credential helpers; "" is the usual one.
func flavour(tag string) string {
	for _, name := range []string{"debug", "slim"} {
		if tag == name || strings.HasSuffix(tag, "-"+name) {
			return name
		}
	}
	return ""
}

// kanikoCommand names the program, so that nobody need ask the registry for it.
func (p *pass) kanikoCommand(v *view) {
	start := p.settings.image(v.known).program
	switch {
	case !p.settings.Kaniko.Command || len(v.command) > 0:
		return
	case v.scripted:
		p.notStep(v, "it runs a script")
		return
	case start == "" || !v.certain:
		p.notStep(v, "what its image starts is not known for certain")
		return
	}
	v.step.Fields["command"] = []any{start}
	v.command, v.ownCommand = []string{start}, true
	p.did(v.place(), "set the command to "+start)
}

// kanikoArgs puts default arguments before the author's.
func (p *pass) kanikoArgs(v *view, release *version.Version) {
	if len(p.settings.kaniko.args) == 0 {
		return
	}
	if why := p.noArgs(v); why != "" {
		p.notStep(v, why)
		return
	}
	added := p.missingArgs(v, release)
	if len(added) == 0 {
		return
	}
	defaults := make([]any, 0, len(added))
	for _, word := range added {
		defaults = append(defaults, word)
	}
	if len(v.command) > 1 { // the author's arguments stand in the command
		command := v.step.Fields["command"].([]any)
		v.step.Fields["command"] = slices.Concat(command[:1], defaults, command[1:])
		v.command = slices.Concat(v.command[:1], added, v.command[1:])
		return
	}
	args, _ := v.step.Fields["args"].([]any)
	v.step.Fields["args"] = slices.Concat(defaults, args)
	v.args = slices.Concat(added, v.args)
}

// missingArgs returns the default arguments that a step lacks.
func (p *pass) missingArgs(v *view, release *version.Version) (added []string) {
	words := p.expand(v)
	for _, arg := range p.settings.kaniko.args {
		why := ""
		switch {
		case arg.Given(words) || arg.Given(v.command) || arg.Given(v.args):
			why = "its arguments say --" + arg.Name
		case arg.Multi && words == nil:
			why = "its arguments hold an array parameter, which may say --" + arg.Name
		case !arg.Known(release):
			why = fmt.Sprintf("its image is not known to understand --%s, which came with %s", arg.Name, arg.Since)
		}
		if why != "" {
			p.notStep(v, why)
			continue
		}
		added = append(added, arg.word)
		p.did(v.place(), "added the argument "+arg.word)
	}
	return added
}

// noArgs says why a step's arguments cannot be added to, or "".
func (p *pass) noArgs(v *view) string {
	own, _ := v.step.Fields["args"].([]any)
	switch {
	case v.scripted:
		return "it runs a script"
	case len(v.command) == 0 && (p.settings.image(v.known).program != kanikoExecutor || !v.certain):
		return "what its image starts is not known for certain"
	case len(v.command) > 0 && path.Clean(v.command[0]) != kanikoExecutor:
		return "its command is another program"
	case len(own) == 0 && len(v.args) > 0, len(v.command) > 1 && !v.ownCommand:
		return "its arguments come from its stepTemplate"
	}
	return ""
}

// expand returns the words of a step with its array parameters filled in, nil
// where one of them is not known.
func (p *pass) expand(v *view) []string {
	words := []string{}
	var r object.Reader
	for _, word := range slices.Concat(v.command, v.args) {
		name, is := arrayParameter(word)
		if !is {
			words = append(words, word)
			continue
		}
		values, known := arrayValue(&r, v.task, name)
		if !known || r.Odd {
			return nil
		}
		words = append(words, values...)
	}
	return words
}

// arrayParameter returns the name in $(params.name[*]).
func arrayParameter(word string) (string, bool) {
	inner, is := strings.CutPrefix(word, "$(")
	inner, all := strings.CutSuffix(inner, "[*])")
	if !is || !all {
		return "", false
	}
	inner = strings.TrimPrefix(strings.TrimPrefix(inner, "inputs."), "params")
	return strings.Trim(inner, `.["']`), true
}

// arrayValue returns what a run gives for an array parameter, or else the task's
// default. Without a run nothing is known.
func arrayValue(r *object.Reader, task object.Task, name string) ([]string, bool) {
	if !task.Run.Known {
		return nil, false
	}
	for _, param := range task.Run.Params {
		if param["name"] == name {
			return r.TextList(param, "value"), true
		}
	}
	for _, param := range r.FieldsList(task.Spec, "params") {
		if param["name"] == name && param["default"] != nil {
			return r.TextList(param, "default"), true
		}
	}
	return nil, false
}

// kanikoRelease returns the release that a step's image holds, nil where its tag
// does not say so. It is that of the image as it is now: its author may have
// written an older one.
func (p *pass) kanikoRelease(v *view) *version.Version {
	written := v.image
	if isVariable(written) {
		written = v.known
	}
	if !v.certain {
		return nil
	}
	return p.settings.image(written).release
}
