package validator_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/walk"
)

// quoted finds the names in messages.
var quoted = regexp.MustCompile(`"([^"]+)"`)

// TestUnverifiedCallersLearnNothing holds, for every rule, that a caller which may not be an
// API server learns no name that was looked up, and that the findings are the same.
func TestUnverifiedCallersLearnNothing(t *testing.T) {
	withheld := 0
	for _, folder := range golden.Folders(t) {
		object, others := string(golden.Read(t, folder+"/object.yaml")), string(optional(t, folder+"/others.yaml"))
		if others == "" {
			continue
		}
		v := load(t, folder)
		if v.Files != nil {
			continue // no request has files
		}
		s := subject(t, golden.JSON(t, []byte(object)))
		s.Request = &validator.Request{}
		known := v.Judge(t.Context(), s)
		v.Config.UnverifiedCallers = validator.LearnNothing
		s.Request = &validator.Request{Unverified: true}
		out := v.Judge(t.Context(), s)
		if len(out.Findings) != len(known.Findings) && len(out.Findings) == 0 {
			t.Errorf("%s: there are %d findings for an API server and none for others", folder, len(known.Findings))
		}
		for i, f := range out.Findings {
			if i < len(known.Findings) && f.Message != known.Findings[i].Message {
				withheld++
			}
			for _, name := range quoted.FindAllStringSubmatch(f.Message, -1) {
				if name[1] != namespace && !strings.Contains(object, name[1]) && strings.Contains(others, name[1]) &&
					!slices.Contains(walk.CoreInterceptors, name[1]) {
					t.Errorf("%s: %q was looked up: %s", folder, name[1], f)
				}
			}
		}
	}
	if withheld < 20 {
		t.Errorf("only %d messages differ, so this proves little", withheld)
	}
}

// TestOutside holds what an unverified caller learns of other namespaces.
func TestOutside(t *testing.T) {
	set := validator.NewSet(subjects(t, "others", `
apiVersion: triggers.tekton.dev/v1beta1
kind: ClusterTriggerBinding
metadata: {name: payroll-binding}
spec: {params: [{name: payroll-token, value: x}]}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: own-template, namespace: ci}
spec: {params: [{name: revision}], resourcetemplates: []}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: pay, namespace: payroll}
spec: {params: [{name: payroll-account}], steps: [{name: a, image: b}]}
`))
	tests := []struct{ name, object, always, verified string }{
		{"a name of the cluster", `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: l, namespace: ci}
spec: {triggers: [{name: t, bindings: [{kind: ClusterTriggerBinding, ref: payroll-bindin}], template: {ref: own-templat}}]}`,
			`did you mean "own-template"?`, `"payroll-binding"`},
		{"a known interceptor", `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: l, namespace: ci}
spec: {triggers: [{name: t, interceptors: [{ref: {name: githb}}], template: {ref: own-template}}]}`,
			`did you mean "github"?`, ""},
		{"a Task of another namespace", `
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: t, namespace: ci}
spec:
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: TaskRun
    metadata: {generateName: r-, namespace: payroll}
    spec: {taskRef: {name: pay}}`, "", `"payroll-account"`},
		{"the name of a Task there", `
apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: t, namespace: ci}
spec:
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: TaskRun
    metadata: {generateName: r-, namespace: payroll}
    spec: {taskRef: {name: pai}}`, "does not exist", `did you mean "pay"?`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := subject(t, golden.JSON(t, []byte(tt.object)))
			s.Namespace = "ci"
			v := &validator.Validator{Config: validator.Default(), Cluster: set}
			s.Request = &validator.Request{}
			verified := judgement(v.Judge(t.Context(), s))
			s.Request = &validator.Request{Unverified: true}
			unverified := judgement(v.Judge(t.Context(), s))
			if !strings.Contains(verified, tt.verified) || !strings.Contains(verified, tt.always) {
				t.Errorf("an API server is told %s", verified)
			}
			if tt.verified != "" && strings.Contains(unverified, tt.verified) ||
				!strings.Contains(unverified, tt.always) || unverified == "nothing\n" {
				t.Errorf("others are told %s", unverified)
			}
		})
	}
}
