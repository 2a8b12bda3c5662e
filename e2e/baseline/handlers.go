package baseline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Nothing is an answer that changes nothing.
const Nothing = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u","allowed":true}}`

// Null is the least that a webhook can do: it reads the request and gives an answer
// that was there before.
func Null(answer []byte) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		rw.Header().Set("Content-Type", "application/json")
		_, _ = rw.Write(answer)
	})
}

// Kubebuilder does what all arms do in the way that generated webhooks do it, through
// Tekton's Go types and back: a ServiceAccount, images from a mirror, and a variable
// for each step.
func Kubebuilder() (admission.Handler, error) {
	scheme := runtime.NewScheme()
	if err := pipelinev1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("learning Tekton's types: %w", err)
	}
	decoder := admission.NewDecoder(scheme)
	return admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		run := &pipelinev1.TaskRun{}
		if err := decoder.Decode(req, run); err != nil {
			return admission.Errored(http.StatusBadRequest, err)
		}
		run.Spec.ServiceAccountName = ServiceAccount
		if run.Spec.TaskSpec != nil {
			for i := range run.Spec.TaskSpec.Steps {
				step := &run.Spec.TaskSpec.Steps[i]
				step.Image = Mirror + "/" + step.Image
				step.Env = append(step.Env, corev1.EnvVar{Name: Variable, Value: Value})
			}
		}
		changed, err := json.Marshal(run)
		if err != nil {
			return admission.Errored(http.StatusInternalServerError, err)
		}
		return admission.PatchResponseFromRaw(req.Object.Raw, changed)
	}), nil
}
