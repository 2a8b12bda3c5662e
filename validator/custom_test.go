package validator_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

const teamLabel = `
custom:
- id: team-label
  kinds: [TaskRun]
  severity: error
  expression: has(object.metadata.labels) && 'team' in object.metadata.labels
  message: add a label team
- id: few-retries
  kinds: [TaskRun]
  expression: object.spec.retries < 3
  message: retry less
`

func configured(t *testing.T, text string) validator.Config {
	t.Helper()
	config := validator.Default()
	if err := strict.UnmarshalYAML([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	return config
}

func customValidator(t *testing.T, text string) *validator.Validator {
	t.Helper()
	config := configured(t, text)
	all, err := config.AllRules()
	if err != nil {
		t.Fatal(err)
	}
	rules := slices.DeleteFunc(
		slices.Clone(all),
		func(r *validator.Rule) bool { return !r.Own && r.ID != "exception" },
	)
	return &validator.Validator{Config: config, Rules: rules, Now: func() time.Time { return now }}
}

// TestCustomModes holds that modes, namespaces and exceptions are those of built-in rules.
func TestCustomModes(t *testing.T) {
	const excepted = `{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: x, annotations: {except.tekgate.dev/team-label: 2027-01-31 moving}}, spec: {retries: 1}}`
	const bare = `{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: x}, spec: {retries: 1}}`
	const finding = "spec: add a label team (rule team-label)\n"
	for name, tt := range map[string]struct{ config, object, want string }{
		"by its severity": {"", bare, "error (enforce): " + finding},
		"a mode":          {"rules: {team-label: {mode: warn}}", bare, "error (warn): " + finding},
		"off":             {"rules: {team-label: {mode: off}}", bare, "nothing\n"},
		"a namespace":     {"rules: {team-label: {namespaces: [{match: ['c*'], mode: audit}]}}", bare, "error (audit): " + finding},
		"an exception":    {"", excepted, "excepted until 2027-01-31 (moving): " + finding},
		"exceptions: none": {"rules: {team-label: {exceptions: none}}", excepted,
			"error (enforce): " + finding},
		"an exception from no rule": {"", strings.Replace(bare, "name: x", "name: x, labels: {team: a}, annotations: {except.tekgate.dev/team-labl: 2027-01-31 moving}", 1),
			"warning (warn): metadata.annotations[except.tekgate.dev/team-labl]: the exception is from a rule \"team-labl\", which does not exist: did you mean \"team-label\"? (rule exception)\n"},
		"another kind": {"", strings.Replace(bare, "TaskRun", "Task", 1), "nothing\n"},
		"it fails": {"rules: {team-label: {mode: off}}", strings.Replace(bare, "retries: 1", "", 1),
			"unknown: spec: the expression of validator.custom could not be evaluated for this object, so it passes: no such key: retries; test fields that may be absent with has(), such as !has(object.spec.x) || object.spec.x == 1 (rule few-retries)\n"},
	} {
		v := customValidator(t, teamLabel+tt.config)
		out := v.Judge(t.Context(), subjects(t, name, tt.object)[0])
		if got := judgement(out); got != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, tt.want)
		}
	}
}

// TestCustomConfig holds what is wrong with the section, by the whole configuration.
func TestCustomConfig(t *testing.T) {
	for text, want := range map[string]string{
		"custom: [{id: privileged, kinds: [Task], expression: 'true', message: x}]": `custom[0].id: there is a built-in rule "privileged"`,
		"custom: [{id: syntax, kinds: [Task], expression: 'true', message: x}]":     `custom[0].id: there is a built-in rule "syntax"`,
		"custom: [{id: own, kinds: [Task], expression: 'tru', message: x}]":         "custom[0].expression: rule own does not compile: undeclared reference to 'tru' at column 1",
		"rules: {team-label: {mode: warn}}":                                         "rules.team-label: there is no such rule",
	} {
		config := validator.Default()
		if err := strict.UnmarshalYAML([]byte(text), &config); err != nil {
			t.Fatal(err)
		}
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if _, err := config.AllRules(); strings.Contains(want, "compile") && err == nil {
			t.Errorf("%s: it becomes rules", text)
		}
	}
	if built, err := validator.Default().AllRules(); err != nil || len(built) != len(validator.Rules) {
		t.Errorf("without any: %d rules, error %v", len(built), err)
	}
}

// TestCustomConditions holds that the API server asks about what a rule of the configuration is for.
func TestCustomConditions(t *testing.T) {
	off := map[string]validator.RuleConfig{}
	for _, r := range validator.Rules {
		off[r.ID] = validator.RuleConfig{Mode: validator.Off}
	}
	config := configured(
		t,
		teamLabel+"rules: {few-retries: {mode: off}, team-label: {namespaces: [{match: ['prod-*'], mode: off}]}}",
	)
	for id, own := range config.Rules {
		off[id] = own
	}
	config.Rules = off
	got := validator.Conditions(config)
	want := `(request.kind.kind in ["TaskRun"] && (((has(request.namespace) ? request.namespace : "").matches("^(?:prod-[^/]*)$") ? false : true)))`
	if got["runs.validate.tekgate.dev"] != want || got["pipelines.validate.tekgate.dev"] != "false" {
		t.Errorf("got %v", got)
	}
}

// TestCustomAdmission holds what the API server is answered: an error refuses, what fails passes
// with a warning and is counted, and an update is not refused for what was wrong before it.
func TestCustomAdmission(t *testing.T) {
	const good = `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"x","labels":{"team":"a"}},"spec":{"retries":1}}`
	bad := strings.Replace(good, `,"labels":{"team":"a"}`, "", 1)
	fails := strings.Replace(good, `"retries":1`, "", 1)
	for name, tt := range map[string]struct {
		object, old string
		allowed     bool
		told        string
		failed      string
	}{
		"good":         {good, "", true, "", ""},
		"bad":          {bad, "", false, "- spec: add a label team (rule team-label)", ""},
		"it fails":     {fails, "", true, "could not be evaluated for this object, so it passes: no such key: retries", "few-retries"},
		"bad before":   {strings.Replace(bad, "1}", "2}", 1), bad, true, "spec: add a label team (rule team-label)", ""},
		"bad from now": {strings.Replace(bad, "1}", "2}", 1), good, false, "add a label team", ""},
	} {
		v := customValidator(t, teamLabel)
		failed := ""
		v.Failure = func(id string) { failed += id }
		req := admission.Request{
			AdmissionRequest: admissionv1.AdmissionRequest{
				Operation: admissionv1.Create,
				Namespace: "ci",
				Kind: metav1.GroupVersionKind{
					Group:   "tekton.dev",
					Version: "v1",
					Kind:    "TaskRun",
				},
				Object: runtime.RawExtension{Raw: []byte(tt.object)},
			},
		}
		if tt.old != "" {
			req.Operation, req.OldObject.Raw = admissionv1.Update, []byte(tt.old)
		}
		res := v.Handle(t.Context(), req)
		told := strings.Join(res.Warnings, "\n")
		if res.Result != nil {
			told += res.Result.Message
		}
		if res.Allowed != tt.allowed || !strings.Contains(told, tt.told) || failed != tt.failed {
			t.Errorf("%s: allowed %v, told %q, failed %q", name, res.Allowed, told, failed)
		}
	}
}
