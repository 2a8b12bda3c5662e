package validator_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// broken refers to a binding that does not exist.
const broken = `{"apiVersion":"triggers.tekton.dev/v1beta1","kind":"EventListener","metadata":{"name":"l","labels":{"a":"b"}},
	"spec":{"triggers":[{"bindings":[{"ref":"gone"}],"template":{"ref":"gone"}}]}}`

// enforcing refuses what refers to nothing.
func enforcing(t *testing.T) *validator.Validator {
	t.Helper()
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{"dangling-reference": {Mode: validator.Enforce}}
	return &validator.Validator{Config: config, Cluster: validator.NewSet(nil)}
}

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
		{"spec changed", request(t, admissionv1.Update, []byte(broken), []byte(edit("gone", "other"))),
			http.StatusForbidden},
		{"broken before",
			request(t, admissionv1.Update, []byte(edit(`"spec":{`, `"spec":{"serviceAccountName":"s",`)),
				[]byte(broken)), http.StatusOK},
		{"more broken than before",
			request(t, admissionv1.Update, []byte(edit(`{"ref":"gone"}]`, `{"ref":"gone"},{"ref":"gone"}]`)),
				[]byte(broken)), http.StatusForbidden},
		{"label changed", request(t, admissionv1.Update, []byte(broken), []byte(edit(`"b"`, `"c"`))), http.StatusOK},
		{"finalizer removed",
			request(t, admissionv1.Update, []byte(broken), []byte(edit(`"labels"`, `"finalizers":["f"],"labels"`))),
			http.StatusOK},
		{"status changed",
			request(t, admissionv1.Update, []byte(edit(`"spec"`, `"status":{},"spec"`)), []byte(broken)),
			http.StatusOK},
		{"being deleted, with another spec", request(t, admissionv1.Update,
			[]byte(edit(`"name"`, `"deletionTimestamp":"2026-01-01T00:00:00Z","name"`)),
			[]byte(edit("gone", "other"))), http.StatusForbidden},
		{"being deleted, a finalizer removed", request(t, admissionv1.Update,
			[]byte(edit(`"name"`, `"deletionTimestamp":"2026-01-01T00:00:00Z","name"`)),
			[]byte(edit(`"labels"`, `"finalizers":["f"],"labels"`))), http.StatusOK},
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
			if res := enforcing(t).Handle(t.Context(), tt.req); res.Result.Code != tt.code ||
				res.Allowed != (tt.code == http.StatusOK) {
				t.Errorf("got %d %q, want %d", res.Result.Code, res.Result.Message, tt.code)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	for config, want := range map[string]string{
		"{}": "",
		"rules: {dangling-reference: {mode: enforce}}":                        "",
		"rules: {dangling-reference: {mode: off}}":                            "",
		`rules: {dangling-reference: {mode: "off"}}`:                          "",
		"rules: {dangling-reference: {mode: deny}}":                           `rules.dangling-reference.mode: "deny" is not a mode: write enforce, warn, audit or off`,
		"rules: {dangling-references: {mode: warn}}":                          `rules.dangling-references: there is no such rule: did you mean "dangling-reference"?`,
		"rules: {exception: {namespaces: [{mode: warn}]}}":                    "rules.exception.namespaces[0].match: says nothing",
		"rules: {exception: {namespaces: [{match: ['[a'], mode: warn}]}}":     `rules.exception.namespaces[0].match[0]: "[a" is not a pattern`,
		"rules: {exception: {namespaces: [{match: ['prod-*'], mode: warn}]}}": "",
		"references: {grace: -1s}":                                            "references.grace: a time cannot be negative",
		"exceptions: {maxDays: -1}":                                           "exceptions.maxDays: it cannot be negative",
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

// TestModes judges one object in namespaces whose modes differ.
func TestModes(t *testing.T) {
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{"dangling-reference": {Mode: validator.Warn,
		Namespaces: []validator.NamespaceMode{
			{Match: []string{"prod-*"}, Mode: validator.Enforce},
			{Match: []string{"play"}, Mode: validator.Off},
			{Match: []string{"*"}, Mode: validator.Audit},
		}}}
	at := slices.IndexFunc(validator.Rules, func(r *validator.Rule) bool { return r.ID == "dangling-reference" })
	v := &validator.Validator{Config: config, Cluster: validator.NewSet(nil), Rules: validator.Rules[at : at+1]}
	for namespace, want := range map[string]validator.Mode{"prod-a": validator.Enforce, "play": "",
		"ci": validator.Audit} {
		s := subject(t, []byte(broken))
		s.Namespace = namespace
		var got validator.Mode
		if out := v.Judge(t.Context(), s); len(out.Findings) > 0 {
			got = out.Findings[0].Mode
		}
		if got != want {
			t.Errorf("in %s: mode %q, want %q", namespace, got, want)
		}
	}
}

func request(t testing.TB, operation admissionv1.Operation, raw, old []byte) admission.Request {
	t.Helper()
	var meta metav1.TypeMeta
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID:       "1",
		Kind:      metav1.GroupVersionKind(meta.GroupVersionKind()),
		Namespace: namespace,
		Operation: operation,
		Object:    runtime.RawExtension{Raw: raw},
		OldObject: runtime.RawExtension{Raw: old},
	}}
}
