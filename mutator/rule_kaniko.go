package mutator

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
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
warmers, images of which a parameter is left, or is a Task's default that a run may
change, and images that only a digest names, of repositories that also have warmers.

` + "`mutator.kaniko.command`" + `, on by default, sets the command to /kaniko/executor where a
step has neither command nor script and its image is known to start it. Tekton's
controller then need not ask a registry for the image's entrypoint, which it
cannot where the registry is out of reach (tektoncd/pipeline#6551).

` + "`mutator.kaniko.registryMap` and `registryMirror`" + ` become the environment variables
KANIKO_REGISTRY_MAP and KANIKO_REGISTRY_MIRROR, unless the step has the variable or
envFrom. Images before v1.21 ignore the map, and those before v1.9 both; no image fails
for a variable that it does not know. Kaniko looks Docker Hub up as index.docker.io, so
that is what docker.io is written as. The annotation tekgate.dev/set-variables records by a
hash what the rule set: if such a run is created again, the values follow the configuration.

Kaniko adds a variable to the flag of that name and asks the flag's registries first, so an
author's --registry-map or --registry-mirror does not keep the variable away. The map comes
before all mirrors, however. So the entry for Docker Hub is left out where the author gives a
mirror, by --registry-mirror or KANIKO_REGISTRY_MIRROR. A step with an array parameter that
is not known, which may give one, is given the map in its Pod. Map and mirror apply to FROM and COPY --from
only, not to --destination and --cache-repo.

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
	sum   string // of the value, see record.Sum
	// besideMirror is the variable for a step whose author gives a mirror of Docker Hub: nil
	// if it is the same, and without an entry if nothing is left of it.
	besideMirror *kanikoVariable
}

func kanikoVariableOf(name, value string) kanikoVariable {
	if value == "" {
		return kanikoVariable{name: name}
	}
	return kanikoVariable{name: name, entry: map[string]any{"name": name, "value": value}, sum: record.Sum(value)}
}

// holds reports whether a value is that of the variable, or of the one beside a mirror.
func (k kanikoVariable) holds(value string) bool {
	return k.entry["value"] == value || k.besideMirror != nil && k.besideMirror.entry["value"] == value
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
	if whole, others := s.registryMap(&c); whole != "" {
		variable := kanikoVariableOf(registryMap, whole)
		if others != whole {
			beside := kanikoVariableOf(registryMap, others)
			variable.besideMirror = &beside
		}
		s.kaniko.env = append(s.kaniko.env, variable)
	}
	if k.RegistryMirror != "" {
		checkRegistry(&c, "registryMirror", k.RegistryMirror)
		s.kaniko.env = append(s.kaniko.env, kanikoVariableOf(registryMirror, k.RegistryMirror))
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

// registryMap returns the value of KANIKO_REGISTRY_MAP, "" for none, and what of it is for
// other registries than Docker Hub.
func (s *settings) registryMap(c *checker) (whole, others string) {
	var pairs, rest []string
	for _, from := range slices.Sorted(maps.Keys(s.Kaniko.RegistryMap)) {
		to := s.Kaniko.RegistryMap[from]
		checkRegistry(c, fmt.Sprintf("registryMap[%q]", from), to)
		switch {
		case strings.ContainsAny(from, ";=/ ") || from == "":
			c.problem("registryMap: %q is not a registry: write its host, such as docker.io", from)
		case from == "docker.io":
			from = kaniko.DockerHub
		case kaniko.IsDockerHub(from):
			c.problem("registryMap: %q is a name of Docker Hub that no image has: write docker.io", from)
		}
		pairs = append(pairs, from+"="+to)
		if from != kaniko.DockerHub {
			rest = append(rest, from+"="+to)
		}
	}
	return strings.Join(pairs, ";"), strings.Join(rest, ";")
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
	mirror, open := p.givesMirror(v), p.expand(v) == nil
	for _, variable := range p.settings.kaniko.env {
		why := p.noKanikoVariable(v, variable.name)
		switch {
		case why != "":
		case open && variable.besideMirror != nil: // the Pod is given the whole map, if all is known there
			why = "its arguments hold an array parameter, which may say " + mirrorFlag
		case mirror != "" && variable.besideMirror != nil:
			variable = *variable.besideMirror
			p.notStep(v, "the map's entry for Docker Hub would come before the author's mirror: "+mirror)
			if variable.entry == nil {
				continue
			}
		}
		if why != "" {
			p.notStep(v, why)
			continue
		}
		v.add(variable.entry)
		p.rememberVariable(variable.name, variable.sum)
		p.did(v.place(), "set "+variable.name)
		p.noteUnmapped(v, variable)
	}
}

// noKanikoVariable says why a step is not given a variable, or "". A flag of the author is no
// reason: Kaniko asks the flag's registries first, and then the variable's.
func (p *pass) noKanikoVariable(v *view, name string) string {
	switch {
	case v.variable(name) != nil:
		return name + " is set already"
	case setsEnv(p.tekton.DefaultPodTemplate, name):
		return "Tekton's default-pod-template sets " + name
	case v.says([]string{name}) != "":
		return "what it runs speaks of " + name
	}
	return v.closed()
}

// givesMirror says how somebody else than mutator.kaniko gives Kaniko a mirror of Docker Hub,
// or "". Kaniko asks all of the map before it (validateFlags in cmd/executor/cmd/root.go,
// v1.25.5).
func (p *pass) givesMirror(v *view) string {
	variable := v.variable(registryMirror)
	switch {
	case setsEnv(p.tekton.DefaultPodTemplate, registryMirror):
		return "Tekton's default-pod-template sets " + registryMirror
	case variable != nil && variable["value"] != p.settings.Kaniko.RegistryMirror:
		return registryMirror + " is set"
	case v.says([]string{mirrorFlag, registryMirror}) != "" || kaniko.Flag{Name: mirrorFlag[2:]}.Given(p.expand(v)):
		return "what it runs says " + mirrorFlag
	case v.step.InPod() && v.scripted:
		return "it runs a script, whose text is not seen in a Pod"
	}
	return ""
}

const mirrorFlag = "--registry-mirror"

// noteUnmapped explains that what Kaniko pushes to is not mapped.
func (p *pass) noteUnmapped(v *view, variable kanikoVariable) {
	if !p.explain || variable.name != registryMap {
		return
	}
	for _, setting := range kaniko.Parse(p.expand(v)) {
		if setting.Flag == nil || setting.Flag.Name != "destination" && setting.Flag.Name != "cache-repo" {
			continue
		}
		ref, err := image.Parse(setting.Value)
		to := p.settings.Kaniko.RegistryMap[ref.Host]
		if to == "" && ref.Host == "docker.io" {
			to = p.settings.Kaniko.RegistryMap[kaniko.DockerHub]
		}
		if err == nil && to != "" {
			p.notStep(v, fmt.Sprintf("Kaniko does not apply the map to --%s: it pushes to %s itself, not to %s",
				setting.Flag.Name, ref.Host, to))
		}
	}
}

// kanikoFollow makes the variables that the rule set before follow the configuration: the run
// is created again, and the mirror's address may have changed.
func (p *pass) kanikoFollow(v *view) {
	for _, name := range slices.Backward(kanikoVariables) { // the mirror first, on which the map depends
		value, is := v.ownValue(name)
		if !is || v.step.InPod() || !p.variables.Set(name, value) {
			continue
		}
		i := slices.IndexFunc(p.settings.kaniko.env, func(k kanikoVariable) bool { return k.name == name })
		if i < 0 {
			p.dropVariable(v, name, "which the configuration does not set any more")
			continue
		}
		variable := p.settings.kaniko.env[i]
		if variable.holds(value) {
			continue
		}
		if mirror := p.givesMirror(v); mirror != "" && variable.besideMirror != nil {
			variable = *variable.besideMirror
		}
		if variable.entry == nil {
			p.dropVariable(v, name, "whose only entry would come before the author's mirror")
			continue
		}
		v.replace(name, variable.entry)
		p.rememberVariable(name, variable.sum)
		p.did(v.place(), "set "+name+" in place of an earlier value")
	}
}

func (p *pass) dropVariable(v *view, name, why string) {
	v.replace(name, nil)
	p.rememberVariable(name, "")
	p.did(v.place(), "removed "+name+", "+why)
}

// kanikoImage returns the image that took the place of the author's, or "".
func (p *pass) kanikoImage(v *view) string {
	written, _ := v.step.Fields["image"].(string)
	if p.settings.kaniko.image == nil || written == "" {
		return "" // a stepTemplate's image is that of other steps too
	}
	to, why := p.houseOf(v)
	if why != "" {
		p.notStep(v, why)
		return ""
	}
	v.step.Fields["image"] = to.text
	v.image, v.filled = to.text, to.text
	p.remember(to.text, written)
	p.renamed = true
	if p.settings.image(v.known).ref.Digest != "" && to.Digest == "" {
		p.warn("%s: %s was pinned by its digest, and the house's %s is not", v.place(), v.known, to.text)
	}
	p.did(v.place(), to.did)
	return to.text
}

// houseOf returns the house's image for that of a step, or why that stays.
func (p *pass) houseOf(v *view) (to houseImage, why string) {
	house := p.settings.kaniko.image
	written, _ := v.step.Fields["image"].(string)
	known := p.settings.image(v.known)
	ref, to := known.ref, known.house
	switch {
	case house == nil || written == "":
		why = "mutator.kaniko.image is not for it"
	case isVariable(written) || !v.certain || known.err != nil:
		why = "its image is not known, or may become another"
	case known.program == "":
		why = "its image is named by digest only, which may be a warmer's"
	case known.program != kaniko.Executor:
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
	return to, why
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
	case len(v.command) == 0 && (p.settings.image(v.known).program != kaniko.Executor || !v.certain):
		return "what its image starts is not known for certain"
	case len(v.command) > 0 && path.Clean(v.command[0]) != kaniko.Executor:
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
