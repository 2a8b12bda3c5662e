package validator_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/rule"
)

// padded is a TaskRun whose image no list allows, behind so many params and steps.
func padded(params, steps int) []byte {
	var text strings.Builder
	text.WriteString(`{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"padded"},"spec":{"params":[`)
	for i := range params {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(`{"name":"p` + strconv.Itoa(i) + `","value":"v"}`)
	}
	text.WriteString(`],"taskSpec":{"steps":[`)
	for i := range steps {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(`{"image":"docker.io/library/tool:$(params.p` + strconv.Itoa(i) + `)"}`)
	}
	text.WriteString(`]}}}`)
	return []byte(text.String())
}

// slow takes as long as it can and looks at each step.
func slow(mode validator.Mode) (*validator.Validator, *int) {
	looked := new(int)
	endless := &rule.Rule{ID: "endless", Severity: rule.Error, Kinds: rule.TaskRuns,
		Check: func(_ context.Context, p *rule.Pass) {
			for {
				p.Step(1)
				*looked++
			}
		}}
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{"endless": {Mode: mode}}
	return &validator.Validator{Config: config, Rules: []*rule.Rule{endless}}, looked
}

// TestBudget holds that an object which takes longer than its sender waits is refused by
// a rule that enforces, before the sender gives up, and passes all others with a word.
func TestBudget(t *testing.T) {
	const patience = 5 * time.Second
	for mode, allowed := range map[validator.Mode]bool{
		validator.Enforce: false, validator.Warn: true, validator.Audit: true,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			v, looked := slow(mode)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			res := v.Handle(ctx, request(t, admissionv1.Create, padded(1, 1), nil))
			if ctx.Err() != nil {
				t.Error("the answer comes after the sender has gone")
			}
			if res.Allowed != allowed || *looked == 0 || res.AuditAnnotations["unjudged"] != "endless" {
				t.Errorf("got %v %q, audit %v", res.Allowed, res.Result.Message, res.AuditAnnotations)
			}
			const said = "rule endless could not judge it in the time"
			if told := res.Result.Message + strings.Join(res.Warnings, ""); !strings.Contains(told, said) {
				t.Errorf("told %q, want %q", told, said)
			}
		})
	}
}

// TestBudgetOfMemory holds that values which would make gigabytes of an object are not
// filled in.
func TestBudgetOfMemory(t *testing.T) {
	long := strings.Repeat("x", 10<<10)
	var args strings.Builder
	for range 4000 {
		args.WriteString(`,"$(params.long)"`)
	}
	raw := `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"r"},"spec":{
		"params":[{"name":"long","value":"` + long + `"}],
		"taskSpec":{"steps":[{"image":"ghcr.io/osscontainertools/kaniko:v1","args":["--destination=a/b:c"` +
		args.String() + `]}]}}}`
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{"kaniko-arguments": {Mode: validator.Enforce}}
	v := &validator.Validator{Config: config}
	res := v.Handle(t.Context(), request(t, admissionv1.Create, []byte(raw), nil))
	if res.Allowed || !strings.Contains(res.Result.Message, "kaniko-arguments") {
		t.Errorf("got %v %q", res.Allowed, res.Result.Message)
	}
}

// TestPadded holds that a forbidden image is found behind as many params and steps as an
// admission review takes.
func TestPadded(t *testing.T) {
	config := everything()
	config.Rules["image-registry"] = validator.RuleConfig{Mode: validator.Enforce}
	v := &validator.Validator{Config: config}
	for _, size := range [][2]int{{15_000, 60}, {1_000, 1_000}} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		res := v.Handle(ctx, request(t, admissionv1.Create, padded(size[0], size[1]), nil))
		cancel()
		if res.Allowed || !strings.Contains(res.Result.Message, "image-registry") ||
			!strings.Contains(res.Result.Message, "docker.io/library/tool:v") {
			t.Errorf("%d params and %d steps: got %v %.300q", size[0], size[1], res.Allowed, res.Result.Message)
		}
	}
}

// BenchmarkPadded judges such objects by all rules.
func BenchmarkPadded(b *testing.B) {
	v := &validator.Validator{Config: everything()}
	for name, raw := range map[string][]byte{
		"15000 params and 60 steps": padded(15_000, 60), "1000 params and 1000 steps": padded(1_000, 1_000),
	} {
		b.Run(name, func(b *testing.B) {
			s := subject(b, raw)
			for b.Loop() {
				v.Judge(b.Context(), s)
			}
		})
	}
}

// TestAuthorizedExceptions holds whose exceptions count.
func TestAuthorizedExceptions(t *testing.T) {
	raw := strings.Replace(string(padded(1, 1)), `"name":"padded"`,
		`"name":"padded","annotations":{"except.tekgate.dev/image-registry":"2126-01-01 a reason"}`, 1)
	as := func(user string, dryRun bool) admission.Request {
		req := request(t, admissionv1.Create, []byte(raw), nil)
		req.UserInfo, req.DryRun = authenticationv1.UserInfo{Username: user}, &dryRun
		return req
	}
	const controller = "system:serviceaccount:tekton-pipelines:tekton-pipelines-controller"
	tests := []struct {
		name, from string
		req        admission.Request
		allowed    bool
		warning    string
	}{
		{"of whoever writes it", "", as("anybody", false), true, ""},
		{"of nobody", "none", as("admin", false), false, ""},
		{"of one who may", "authorized", as("admin", false), true, ""},
		{"of one who may not", "authorized", as("anybody", false), false, "you may not except rules.validator.tekgate.dev"},
		{"of one of whom it is not known", "authorized", as("unknown", false), false, "failed: no answer"},
		{"in what a resolver fetched", "", as(controller, true), false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := everything()
			config.Rules["image-registry"] = validator.RuleConfig{Mode: validator.Enforce, Exceptions: tt.from}
			v := &validator.Validator{Config: config, Controller: controller, Authorize: authorize}
			res := v.Handle(t.Context(), tt.req)
			if res.Allowed != tt.allowed || !strings.Contains(strings.Join(res.Warnings, "\n"), tt.warning) {
				t.Errorf("got %v %q, warnings %q", res.Allowed, res.Result.Message, res.Warnings)
			}
			want := int32(http.StatusForbidden)
			if tt.req.UserInfo.Username == controller {
				want = http.StatusBadRequest // which it does not repeat
			}
			if !tt.allowed && res.Result.Code != want {
				t.Errorf("got %d", res.Result.Code)
			}
		})
	}
}

func authorize(_ context.Context, user authenticationv1.UserInfo, access rule.Access) (bool, error) {
	if user.Username == "unknown" {
		return false, errors.New("no answer")
	}
	want := rule.Access{Verb: "except", Group: "validator.tekgate.dev", Resource: "rules", Name: "image-registry",
		Namespace: namespace}
	return user.Username == "admin" && access == want, nil
}

// everything has all rules on, with lists that ask each of them to look.
func everything() validator.Config {
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{}
	for _, r := range validator.Rules {
		config.Rules[r.ID] = validator.RuleConfig{Mode: validator.Warn}
	}
	config.Policy.Images.Allowed = []string{"registry.example.com/**"}
	config.Policy.Images.Reachable = []string{"registry.example.com"}
	config.Policy.Security.Builds.Destinations = []string{"registry.example.com/**"}
	config.Policy.Security.Accounts.Allowed = []string{"builder"}
	return config
}
