package mutator

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
)

// knownEntrypoint is an image of which it is certain what it starts.
type knownEntrypoint struct {
	repository string
	command    string
	// since is the first release that this was read of, and before the first that it does not
	// hold for: the next major one, which nobody has seen.
	since, before string
}

// knownEntrypoints are the images that rule image-mirror names the command of, besides
// Kaniko's. Each was read in its project's sources, in the file that is named.
//
// The images of buildah, podman and docker are not among them: the first two have no
// entrypoint, and docker's starts other programs depending on its arguments.
var knownEntrypoints = []knownEntrypoint{
	// cloudbuild.yaml of google/go-containerregistry publishes both with ko, whose images
	// start /ko-app/NAME.
	{"gcr.io/go-containerregistry/crane", "/ko-app/crane", "v0.1.0", "v1.0.0"},
	{"gcr.io/go-containerregistry/gcrane", "/ko-app/gcrane", "v0.1.0", "v1.0.0"},
	// release/cloudbuild.yaml and .ko.yaml of sigstore/cosign: ko as well.
	{"gcr.io/projectsigstore/cosign", "/ko-app/cosign", "v1.0.0", "v4.0.0"},
	{"ghcr.io/sigstore/cosign/cosign", "/ko-app/cosign", "v1.0.0", "v4.0.0"},
	// skopeo/Containerfile of containers/image_build, before that contrib/skopeoimage of
	// containers/skopeo.
	{"quay.io/skopeo/stable", "/usr/bin/skopeo", "v1.2.0", "v2.0.0"},
	{"quay.io/containers/skopeo", "/usr/bin/skopeo", "v1.2.0", "v2.0.0"},
	// Dockerfile of alpine-docker/git.
	{"docker.io/alpine/git", "git", "v2.20.0", "v3.0.0"},
	// Dockerfile of mikefarah/yq.
	{"docker.io/mikefarah/yq", "/usr/bin/yq", "v4.0.0", "v5.0.0"},
}

// wholeRelease is a tag that names one release and nothing else. Others move.
var wholeRelease = lazyregexp.New(`^v?[0-9]+\.[0-9]+\.[0-9]+$`)

// knownStarts are commands by repositories: those of knownEntrypoints, and what the mirror
// makes of them.
type knownStarts map[string]*knownEntrypoint

func startsOf(mirror *image.Rules) knownStarts {
	starts := knownStarts{}
	for i := range knownEntrypoints {
		known := &knownEntrypoints[i]
		starts[known.repository] = known
		ref, err := image.Parse(known.repository)
		if err != nil || mirror == nil {
			continue
		}
		if done, err := mirror.Rewrite(ref); err == nil {
			starts[done.To.Repository()] = known
		}
	}
	return starts
}

// find returns what an image of a release starts, "" if that is not certain.
func (k knownStarts) find(ref image.Reference) string {
	known := k[ref.Repository()]
	if known == nil || !wholeRelease.MatchString(ref.Tag) {
		return ""
	}
	release := version.MustParseGeneric(ref.Tag)
	if release.LessThan(version.MustParseGeneric(known.since)) ||
		!release.LessThan(version.MustParseGeneric(known.before)) {
		return ""
	}
	return known.command
}

// entrypoints names the commands of steps that have none, so that Tekton's controller need not
// ask the registry for them.
func (p *pass) entrypoints(ctx context.Context) {
	if p.settings.ImageMirror.Entrypoints == EntrypointsOff {
		return
	}
	for _, task := range p.tasks() {
		if steps, ok := task.Steps(); !ok || !slices.ContainsFunc(steps, needsLookUp) {
			continue
		}
		for _, v := range p.views(task) {
			if needsLookUp(v.step) && len(v.command) == 0 {
				p.entrypoint(ctx, v)
			}
		}
	}
}

// needsLookUp reports whether Tekton looks the command of a step up, going by the step alone.
func needsLookUp(step object.Step) bool {
	command, _ := step.Fields["command"].([]any)
	script := step.Fields["script"]
	return len(command) == 0 && step.Fields["ref"] == nil && (script == nil || script == "")
}

func (p *pass) entrypoint(ctx context.Context, v *view) {
	if p.excludesImage(&p.settings.scopes.images, v.known) != "" {
		return // which is said of its image
	}
	command, why := p.commandOf(ctx, v)
	if len(command) == 0 {
		if why != "" {
			p.notStep(v, "its command is left to Tekton: "+why)
		}
		return
	}
	words := make([]any, 0, len(command))
	for _, word := range command {
		words = append(words, word)
	}
	v.step.Fields["command"] = words
	v.command, v.ownCommand = command, true
	p.did(v.place(), "set the command to "+strings.Join(command, " "))
}

// commandOf returns what a step starts, or why that is not certain. There is no reason if nobody
// would expect the rule to know.
func (p *pass) commandOf(ctx context.Context, v *view) (command []string, why string) {
	asked := p.settings.ImageMirror.Entrypoints == EntrypointsMirror
	ref := p.settings.image(v.filled)
	switch {
	case v.filled != "" && v.certain && ref.err == nil:
	case asked:
		return nil, "its image is not known, or may become another"
	default:
		return nil, ""
	}
	args := argsOf(v)
	if p.kind.Kind == "StepAction" && args == entrypoint.NoArgs {
		args = entrypoint.UnknownArgs // the stepTemplate of a Task may give it some
	}
	if asked {
		if found, is := p.cluster.Entrypoints(ctx).Find(ref.ref); is {
			return found.Command(args)
		}
	}
	program := p.knownProgram(v)
	switch {
	case program != "" && args == entrypoint.SomeArgs:
		return []string{program}, ""
	case program != "":
		return nil, "it has no arguments for certain, and those of its image may count"
	case asked:
		return nil, "ConfigMap " + entrypoint.ConfigMap + " does not have its image: run `tekgate images lock`"
	}
	return nil, ""
}

// knownProgram returns what the image of a step starts by the tables, if the mirror has it under
// the same tag: another tag may be another image.
func (p *pass) knownProgram(v *view) string {
	author, done := p.settings.image(v.known), p.settings.mirrorOf(v.known)
	mirrored := done.to != "" && !done.Other && done.To.Tag == author.ref.Tag
	if author.err != nil || !mirrored && !p.onMirror(author.ref) {
		return ""
	}
	tag := author.ref.Tag
	if f := flavour(tag); f != "" {
		tag = strings.TrimSuffix(tag, "-"+f)
	}
	if author.program == kaniko.Executor && wholeRelease.MatchString(tag) && p.settings.Kaniko.Command {
		return kaniko.Executor // unless mutator.kaniko.command is off
	}
	return p.settings.starts.find(author.ref)
}

// onMirror reports whether an image has a name that the mirror gives, and not one that it keeps.
func (p *pass) onMirror(ref image.Reference) bool {
	known := p.settings.starts[ref.Repository()]
	return known != nil && known.repository != ref.Repository()
}

// argsOf returns whether a step has arguments. An array parameter may have none.
func argsOf(v *view) entrypoint.Args {
	args := entrypoint.NoArgs
	var r object.Reader
	for _, word := range v.args {
		name, array := arrayParameter(word)
		if !array {
			return entrypoint.SomeArgs
		}
		values, known := arrayValue(&r, v.task, name)
		switch {
		case !known || r.Odd:
			args = entrypoint.UnknownArgs
		case len(values) > 0:
			return entrypoint.SomeArgs
		}
	}
	return args
}
