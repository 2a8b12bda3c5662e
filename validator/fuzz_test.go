package validator_test

import (
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// FuzzJudge takes any bytes for an object of any kind: no rule panics, what is found
// is complete, and every message is one line, since a warning of two lines never
// reaches its user.
func FuzzJudge(f *testing.F) {
	for _, folder := range golden.Folders(f) {
		f.Add(golden.JSON(f, golden.Read(f, folder+"/object.yaml")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := object.Decode(raw); err != nil {
			return
		}
		s := subject(t, raw)
		config := validator.Default()
		config.Rules = map[string]validator.RuleConfig{}
		for _, rule := range validator.Rules {
			config.Rules[rule.ID] = validator.RuleConfig{Mode: validator.Warn}
		}
		v := &validator.Validator{Config: config, Cluster: validator.NewSet([]validator.Subject{s})}
		res := v.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Kind: metav1.GroupVersionKind(s.Kind), Namespace: namespace, Operation: admissionv1.Create,
			Object: runtime.RawExtension{Raw: raw},
		}})
		if res.Result.Code != http.StatusOK {
			t.Errorf("a creation gets %d %q though every rule but warns", res.Result.Code, res.Result.Message)
		}
		out := v.Judge(t.Context(), s)
		for _, finding := range out.Findings {
			if strings.ContainsAny(finding.String(), "\r\n") || finding.Path == "" || finding.Message == "" ||
				finding.Rule == "" || finding.Severity == "" {
				t.Errorf("finding %#v", finding)
			}
		}
		for _, unknown := range out.Unknown {
			if strings.ContainsAny(unknown, "\r\n") {
				t.Errorf("unknown %q", unknown)
			}
		}
	})
}
