package mutator_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"testing"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"knative.dev/pkg/apis"
)

// tektonAgrees checks that Tekton accepts after wherever it accepts before, and
// that what it fills in itself stays the same.
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

// tektonAdmits does what Tekton's webhook does with a new TaskRun: it decodes
// the object strictly, fills in its defaults and validates.
func tektonAdmits(raw []byte) error {
	ctx := apis.WithinCreate(context.Background())
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var meta struct{ APIVersion string }
	if err := json.Unmarshal(raw, &meta); err != nil {
		return err
	}
	switch meta.APIVersion {
	case "tekton.dev/v1":
		run := &pipelinev1.TaskRun{}
		if err := decoder.Decode(run); err != nil {
			return err
		}
		run.Name = cmp.Or(run.Name, run.GenerateName+"x")
		run.SetDefaults(ctx)
		return orNil(run.Validate(ctx))
	case "tekton.dev/v1beta1":
		run := &pipelinev1beta1.TaskRun{} //nolint:staticcheck // deprecated, but served
		if err := decoder.Decode(run); err != nil {
			return err
		}
		run.Name = cmp.Or(run.Name, run.GenerateName+"x")
		run.SetDefaults(ctx)
		return orNil(run.Validate(ctx))
	}
	return fmt.Errorf("unknown version %q", meta.APIVersion)
}

// orNil keeps a nil pointer from becoming an error that is not nil.
func orNil(err *apis.FieldError) error {
	if err == nil {
		return nil
	}
	return err
}
