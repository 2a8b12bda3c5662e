package validator_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// namespace is that of the request in every case.
const namespace = "ci"

// exists is exists.yaml: what there is, and which look-ups fail, per kind.
type exists struct {
	ByKind map[string][]string `json:"names"`
	Errors map[string]string   `json:"errors"`
}

func (e exists) Names(_ context.Context, kind schema.GroupKind, ns string) ([]string, error) {
	inCluster := strings.HasPrefix(kind.Kind, "Cluster")
	if kind.Group != "triggers.tekton.dev" || inCluster != (ns == "") || (!inCluster && ns != namespace) {
		return nil, fmt.Errorf("asked for %s in %q", kind, ns)
	}
	if text := e.Errors[kind.Kind]; text != "" {
		return nil, errors.New(text)
	}
	return e.ByKind[kind.Kind], nil
}

// TestCases creates each testdata/<rule>/<case>/object.yaml beside what
// exists.yaml says, under config.yaml, and compares the answer with want.txt.
func TestCases(t *testing.T) {
	for _, folder := range golden.Folders(t) {
		t.Run(strings.TrimPrefix(folder, "testdata/"), func(t *testing.T) {
			v := load(t, folder)
			raw := golden.JSON(t, golden.Read(t, folder+"/object.yaml"))
			res := v.Handle(t.Context(), request(t, admissionv1.Create, raw, nil))
			golden.Equal(t, folder+"/want.txt", []byte(answer(res)))
		})
	}
}

// answer is what a user of kubectl is shown.
func answer(res admission.Response) string {
	text := "allowed\n"
	if !res.Allowed {
		text = "denied: " + res.Result.Message + "\n"
	}
	for _, warning := range res.Warnings {
		text += "warning: " + warning + "\n"
	}
	return text
}

// TestEveryRuleHasCases also says which folders belong to no rule, and wants
// a good and a bad case for each.
func TestEveryRuleHasCases(t *testing.T) {
	good, bad := map[string]int{}, map[string]int{}
	for _, folder := range golden.Folders(t) {
		rule := filepath.Base(filepath.Dir(folder))
		good[rule], bad[rule] = good[rule]+0, bad[rule]+0
		if strings.HasPrefix(string(golden.Read(t, folder+"/want.txt")), "denied") {
			bad[rule]++
		} else {
			good[rule]++
		}
	}
	for _, rule := range validator.Rules {
		if good[rule.ID] == 0 || bad[rule.ID] == 0 {
			t.Errorf("rule %s has %d good and %d bad cases", rule.ID, good[rule.ID], bad[rule.ID])
		}
		if rule.Doc == "" || len(rule.Kinds) == 0 || rule.Check == nil || rule.Mode == nil {
			t.Errorf("rule %s lacks a doc, kinds or a function", rule.ID)
		}
		delete(good, rule.ID)
	}
	for folder := range good {
		t.Errorf("testdata/%s belongs to no rule", folder)
	}
}

func load(t testing.TB, folder string) *validator.Validator {
	t.Helper()
	config := validator.Default()
	var there exists
	err := errors.Join(
		strict.UnmarshalYAML(optional(t, folder+"/config.yaml"), &config),
		strict.UnmarshalYAML(optional(t, folder+"/exists.yaml"), &there),
		config.Validate(),
	)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	return &validator.Validator{Config: config, References: there}
}

func optional(t testing.TB, path string) []byte {
	t.Helper()
	return []byte(cmp.Or(string(golden.ReadOptional(t, path)), "{}"))
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
