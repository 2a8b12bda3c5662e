package mutator

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

var imageMirrorRule = Rule{
	ID:    "image-mirror",
	Kinds: slices.Clone(withSteps),
	Doc: `Takes the images of steps, sidecars, stepTemplates and StepActions, and those of image
volumes in Tasks and podTemplates, from the mirror.

Configured by ` + "`mutator.imageMirror`" + `. The rule is off unless ` + "`enabled: true`" + `: a
mirror that holds Tekton's own images need not hold those of every TaskRun. The
rules of the file's section ` + "`mirror`" + ` hold, or those of ` + "`mutator.imageMirror.mirror`" + `,
which is written like it ([mirrors](../docs/mirrors.md)).

Tekton's controller looks up the entrypoint of an image that has no command, by
the name in the step and not through the mirrors that a node's container runtime
knows. So the name must be right before there is a Pod (tektoncd/pipeline#6551,
#3105), which no webhook for Pods can do.

An image is left alone if

- no rule of the mirror applies to it, it is kept, or it is on the mirror already;
- it is on a former mirror (` + "`mirror.former`" + `) and its upstream name is not certain:
  the answer has a warning;
- it holds a variable: what it will be is not known;
- it is no image reference.

Where an image is a parameter, the parameter's value is changed: the one that a TaskRun
gives, or else the default of its Task. All values are final when a TaskRun is created, so
those of Pipelines and PipelineRuns stay as they are until then. The value stays, and the
answer has a warning, if the parameter is a part of an image, or is used for anything else.
Which parameters are images is known of a Task that the run writes out or names, or that the
cluster resolver fetches from the run's namespace. If the reference leaves kind or namespace out,
default-kind and default-namespace of Tekton's ConfigMap cluster-resolver-config count. Of one that another resolver fetches its defaults are changed; what a
run gives is not, since the Task is not known when the run is created.

In a step that has neither command nor script, the command is named if it is certain, so that
Tekton's controller need not ask the registry at all: it cannot where the registry is out of
reach, an incomplete index fails the run for good, and some unusual indexes end the controller.
` + "`mutator.imageMirror.entrypoints`" + ` says of which images:

- ` + "`known`" + `, the default: Kaniko's, crane, gcrane, cosign, Skopeo, alpine/git and yq, on the mirror,
  with a tag that names a whole release (v1.2.3) of those whose sources were read, in steps with
  arguments;
- ` + "`mirror`" + `: also those that ` + "`tekgate images lock`" + ` has read on the mirror and stored in
  ConfigMap tekgate/tekgate-entrypoints. The command is what Tekton would find: the entrypoint,
  and the image's own arguments if the step has none;
- ` + "`off`" + `: none.

The step is left to Tekton if its image is a parameter that may have another value, if it is not
known whether an array parameter gives it arguments that count, or if the platforms of the image
start different programs. Without the look-up Tekton does not replace the tag by a digest.
Sidecars are not looked up.

A run that is created again starts from what its author wrote, by the record, or by
` + "`mirror.former`" + ` where there is no record.

What the author wrote is recorded in the annotation tekgate.dev/original-images of
runs, and so on their Pods. Where a digest is dropped, because the mirror has its
own, the answer has a warning. Tekton fills in no parameter in an image volume, so one
with a parameter is no image reference. Images of bundles and Pods are not looked at.`,
	scope: func(s *settings) *scope { return &s.scopes.images },
	apply: applyImageMirror,
}

func applyImageMirror(ctx context.Context, p *pass) {
	if p.settings.images == nil {
		p.not("", "the configuration has no mirror")
		return
	}
	for _, field := range object.PodTemplateImages(p.object) {
		p.mirror(field)
	}
	for _, task := range p.tasks() {
		for _, field := range task.Images() {
			p.mirror(field)
		}
	}
	for _, param := range p.paramImages(ctx) {
		p.mirrorParam(param)
	}
	p.entrypoints(ctx)
}

// HoldsParameter is why an image is left alone that a parameter decides. If that is known,
// the parameter's value is changed.
const HoldsParameter = "it holds a parameter"

func (p *pass) mirror(field *object.ImageField) {
	if isVariable(field.Value) {
		why := HoldsParameter
		if field.Literal && !strings.Contains(field.Value, "$(tt.params.") { // those Triggers fills in
			why = "it is no image reference: Tekton fills in no parameter in an image volume"
		}
		p.not(field.Path, why)
		return
	}
	if p.settings.image(field.Value).err != nil {
		p.not(field.Path, "it is no image reference")
		return
	}
	done, why := p.fate(field.Path, field.Value)
	if why != "" {
		p.not(field.Path, why)
		return
	}
	if done.DigestDropped {
		p.warn("%s: %s becomes %s without its digest: what the mirror holds under the tag is what will run", field.Path,
			done.From, done.To)
	}
	before := field.Value
	field.Set(done.to)
	p.remember(field.Value, before)
	p.reread()
	p.did(field.Path, done.did)
}
