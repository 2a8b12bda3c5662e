package scan

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// TestScanVolumes tests the images of volumes, in which Tekton fills in no parameter.
func TestScanVolumes(t *testing.T) {
	const objects = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: run}
spec:
  params: [{name: run, value: gcr.io/by-run}]
  taskRunTemplate: {podTemplate: {volumes: [{name: v, image: {reference: gcr.io/template}}, {name: p, image: {reference: $(params.run)}}]}}
  taskRunSpecs: [{pipelineTaskName: a, podTemplate: {volumes: [{name: v, image: {reference: gcr.io/own}}]}}]
  pipelineRef: {name: p}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: t}
spec:
  params: [{name: default, default: gcr.io/by-default}]
  volumes: [{name: v, image: {reference: gcr.io/task}}, {name: p, image: {reference: $(params.default)}}]
  steps: [{image: internal.example.com/x}]
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: tt}
spec:
  params: [{name: image, default: gcr.io/tt}, {name: none}]
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: TaskRun
    metadata: {generateName: c-}
    spec: {podTemplate: {volumes: [{name: v, image: {reference: $(tt.params.image)}}, {name: n, image: {reference: $(tt.params.none)}}]}}
`
	images, errOut, err := scanJSON(t, objects, "-", "--config", clitest.File(t, "tekgate.yaml", scanConfig))
	for _, want := range []struct{ image, state, to, at string }{
		{"gcr.io/template", stateMirrored, "registry.example.com/gcr/template",
			"PipelineRun/default/run: spec.taskRunTemplate.podTemplate.volumes[0].image.reference"},
		{"gcr.io/own", stateMirrored, "registry.example.com/gcr/own",
			"PipelineRun/default/run: spec.taskRunSpecs[0].podTemplate.volumes[0].image.reference"},
		{"$(params.run)", stateInvalid, "",
			"PipelineRun/default/run: spec.taskRunTemplate.podTemplate.volumes[1].image.reference"},
		{"gcr.io/task", stateResolved, "registry.example.com/gcr/task",
			"Task/default/t: spec.volumes[0].image.reference"},
		{"$(params.default)", stateInvalid, "", "Task/default/t: spec.volumes[1].image.reference"},
		{"internal.example.com/x", stateStays, "", "Task/default/t: spec.steps[0].image"},
		{"$(tt.params.image)", stateLeft, "registry.example.com/gcr/tt",
			"TriggerTemplate/default/tt: spec.resourcetemplates[0].spec.podTemplate.volumes[0].image.reference"},
		{"$(tt.params.none)", stateParameter, "",
			"TriggerTemplate/default/tt: spec.resourcetemplates[0].spec.podTemplate.volumes[1].image.reference"},
	} {
		got := images[want.image]
		if got.State != want.state || got.To != want.to || got.Default != "" && want.image != "$(tt.params.image)" {
			t.Errorf("%s: got %s %q default %q (%s), want %s %q", want.image, got.State, got.To, got.Default, got.Why,
				want.state, want.to)
			continue
		}
		if at := got.Places[0].Object + ": " + got.Places[0].Path; at != want.at {
			t.Errorf("%s: stands in %s, want %s", want.image, at, want.at)
		}
	}
	if why := images["$(params.run)"].Why; !strings.Contains(why, "parameters in an image volume are not filled in") {
		t.Errorf("it says %s", why)
	}
	if why := images["$(tt.params.image)"].Why; !strings.HasPrefix(why, "it holds a parameter: write registry") {
		t.Errorf("it says %s", why)
	}
	if err == nil || len(images) != 8 {
		t.Errorf("%d images, %s%v", len(images), errOut, err)
	}
}
