package validator_test

import (
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// broken refers to a binding that does not exist.
const broken = `{"apiVersion":"triggers.tekton.dev/v1beta1","kind":"EventListener","metadata":{"name":"l","labels":{"a":"b"}},
	"spec":{"triggers":[{"bindings":[{"ref":"gone"}],"template":{"ref":"gone"}}]}}`

func TestHandle(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(broken, old, new, 1) }
	status := request(t, admissionv1.Create, []byte(broken), nil)
	status.SubResource = "status"
	pod := request(t, admissionv1.Create, []byte(broken), nil)
	pod.Kind = metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	raw := func(operation admissionv1.Operation, object string) admission.Request {
		req := request(t, operation, []byte(broken), nil)
		req.Object.Raw = []byte(object)
		return req
	}
	tests := []struct {
		name string
		req  admission.Request
		code int32
	}{
		{"creation", request(t, admissionv1.Create, []byte(broken), nil), http.StatusForbidden},
		{"spec changed", request(t, admissionv1.Update, []byte(broken), []byte(edit("gone", "other"))), http.StatusForbidden},
		{"label changed", request(t, admissionv1.Update, []byte(broken), []byte(edit(`"b"`, `"c"`))), http.StatusOK},
		{"finalizer removed", request(t, admissionv1.Update, []byte(broken), []byte(edit(`"labels"`, `"finalizers":["f"],"labels"`))), http.StatusOK},
		{"status changed", request(t, admissionv1.Update, []byte(edit(`"spec"`, `"status":{},"spec"`)), []byte(broken)), http.StatusOK},
		{"being deleted", request(t, admissionv1.Update, []byte(edit(`"name"`, `"deletionTimestamp":"2026-01-01T00:00:00Z","name"`)), []byte(edit("gone", "other"))), http.StatusOK},
		{"no old object", request(t, admissionv1.Update, []byte(broken), nil), http.StatusForbidden},
		{"deletion", raw(admissionv1.Delete, ""), http.StatusOK},
		{"subresource", status, http.StatusOK},
		{"other kind", pod, http.StatusOK},
		{"no object", raw(admissionv1.Create, ""), http.StatusBadRequest},
		{"null object", raw(admissionv1.Create, "null"), http.StatusBadRequest},
		{"garbage", raw(admissionv1.Create, `{"spec":`), http.StatusBadRequest},
		{"empty object", raw(admissionv1.Create, `{}`), http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &validator.Validator{Config: validator.Default(), References: exists{}}
			if res := v.Handle(t.Context(), tt.req); res.Result.Code != tt.code || res.Allowed != (tt.code == http.StatusOK) {
				t.Errorf("got %d %q, want %d", res.Result.Code, res.Result.Message, tt.code)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	for config, want := range map[string]string{
		"{}":                                 "",
		"danglingReference: {mode: enforce}": "",
		"danglingReference: {mode: warn}":    "",
		"danglingReference: {mode: off}":     "",
		`danglingReference: {mode: "off"}`:   "",
		`danglingReference: {mode: ""}`:      `danglingReference.mode: "" is not a mode`,
		"danglingReference: {mode: deny}":    "write enforce, warn or off",
	} {
		c := validator.Default()
		if err := strict.UnmarshalYAML([]byte(config), &c); err != nil {
			t.Fatal(err)
		}
		err := c.Validate()
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got error %v, want %q", config, err, want)
		}
	}
}
