package mutator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1alpha1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1alpha1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
)

// tektonAgrees checks that Tekton accepts after wherever it accepts before.
func tektonAgrees(t *testing.T, before, after []byte) {
	t.Helper()
	if err := tektonAdmits(before); err != nil {
		t.Logf("Tekton refuses the input itself: %v", err)
		return
	}
	if err := tektonAdmits(after); err != nil {
		t.Errorf("Tekton refuses what it accepted before: %v", err)
	}
}

// resource is what Tekton's webhook knows of a kind.
type resource interface {
	apis.Defaultable
	apis.Validatable
	metav1.Object
}

// tektonKinds are the kinds of pipeline v1.15.1. TaskRuns and Tasks of v1alpha1
// went with v0.44.
func tektonKinds() map[string]resource {
	return map[string]resource{
		"tekton.dev/v1/TaskRun":     &pipelinev1.TaskRun{},
		"tekton.dev/v1/PipelineRun": &pipelinev1.PipelineRun{},
		"tekton.dev/v1/Task":        &pipelinev1.Task{},
		"tekton.dev/v1/Pipeline":    &pipelinev1.Pipeline{},
		//nolint:staticcheck // deprecated, but served
		"tekton.dev/v1beta1/TaskRun": &pipelinev1beta1.TaskRun{},
		//nolint:staticcheck // deprecated, but served
		"tekton.dev/v1beta1/PipelineRun": &pipelinev1beta1.PipelineRun{},
		//nolint:staticcheck // deprecated, but served
		"tekton.dev/v1beta1/Task": &pipelinev1beta1.Task{},
		//nolint:staticcheck // deprecated, but served
		"tekton.dev/v1beta1/Pipeline":     &pipelinev1beta1.Pipeline{},
		"tekton.dev/v1beta1/StepAction":   &pipelinev1beta1.StepAction{},
		"tekton.dev/v1alpha1/StepAction":  &pipelinev1alpha1.StepAction{},
		"tekton.dev/v1beta1/CustomRun":    &pipelinev1beta1.CustomRun{},
		"tekton.dev/v1alpha1/PipelineRun": nil,
	}
}

// errNotOfTekton says that no kind of this Tekton is meant.
var errNotOfTekton = errors.New("Tekton v1.15.1 serves no such kind")

// tektonAdmits does what Tekton's webhook does with a new object: it decodes it
// strictly, fills in its defaults and validates.
func tektonAdmits(raw []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("Tekton panics: %v", p)
		}
	}()
	ctx := apis.WithinCreate(everyFeature(context.Background()))
	var meta struct{ APIVersion, Kind string }
	if err := json.Unmarshal(raw, &meta); err != nil {
		return err
	}
	object := tektonKinds()[meta.APIVersion+"/"+meta.Kind]
	if object == nil {
		return fmt.Errorf("%s %s: %w", meta.APIVersion, meta.Kind, errNotOfTekton)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(object); err != nil {
		return err
	}
	if object.GetName() == "" {
		object.SetName(object.GetGenerateName() + "x")
	}
	object.SetDefaults(ctx)
	return orNil(object.Validate(ctx))
}

// everyFeature switches on what a cluster may switch on, since what the rules make
// has to be valid there too.
func everyFeature(ctx context.Context) context.Context {
	flags, err := config.NewFeatureFlagsFromMap(map[string]string{
		"enable-api-fields": "alpha", "enable-cel-in-whenexpression": "true", "enable-param-enum": "true",
		"enable-artifacts": "true",
	})
	if err != nil {
		panic(err)
	}
	defaults, err := config.NewDefaultsFromMap(map[string]string{})
	if err != nil {
		panic(err)
	}
	return config.ToContext(ctx, &config.Config{FeatureFlags: flags, Defaults: defaults})
}

// orNil keeps a nil pointer from becoming an error that is not nil.
func orNil(err *apis.FieldError) error {
	if err == nil {
		return nil
	}
	return err
}
