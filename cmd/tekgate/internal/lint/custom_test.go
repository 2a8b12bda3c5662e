package lint

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/validator"
)

const customConfig = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
validator:
  custom:
  - id: team-label
    kinds: [TaskRun, Task]
    severity: error
    path: metadata.labels
    expression: has(object.metadata.labels) && 'team' in object.metadata.labels
    message: add a label team
    doc: Costs are split by it.
  - {id: few-retries, kinds: [TaskRun], expression: object.spec.retries < 3, message: retry less}
  - {id: known-task, kinds: [TaskRun], expression: "!has(object.spec.taskRef) || set.has('Task', object.spec.taskRef.name)", message: name a Task}
`

const customRuns = `apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: bad}
spec: {retries: 1, taskRef: {name: absent}}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build, labels: {team: a}}
spec: {steps: [{name: a, image: a}]}
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: good, labels: {team: a}}
spec: {retries: 1, taskRef: {name: build}}
---
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {name: fails, labels: {team: a}}
spec: {taskRef: {name: build}}
`

// TestLintCustom holds that rules of the configuration are listed, explained, chosen and reported
// as built-in ones are.
func TestLintCustom(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"tekgate.yaml": customConfig, "runs.yaml": customRuns,
		"wrong.yaml": strings.Replace(customConfig, "< 3", "<", 1)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const own = "--only=team-label,few-retries,known-task"
	for name, tt := range map[string]struct {
		args   []string
		status int
		want   []string
		not    string
	}{
		"text": {[]string{"runs.yaml", "--config=tekgate.yaml", own}, 1, []string{
			"runs.yaml:3:1: error: add a label team (team-label)", "runs.yaml:4:7: warning: name a Task (known-task)",
			"runs.yaml:19:7: warning: the expression of validator.custom could not be evaluated for this object, so it passes: no such key: retries; test fields that may be absent with has()",
		}, "good"},
		"except": {[]string{"runs.yaml", "--config=tekgate.yaml", own, "--except=team-label"}, 0, []string{"(few-retries)"}, "(team-label)"},
		"sarif": {[]string{"runs.yaml", "--config=tekgate.yaml", own, "-o", "sarif"}, 1,
			[]string{`"ruleId": "team-label"`, "docs/policy.md#rules-of-your-own", "Costs are split by it."}, "RULES.md#team-label"},
		"rules":   {[]string{"--rules", "--config=tekgate.yaml"}, 0, []string{"team-label", "by a rule of your configuration: add a label team"}, ""},
		"without": {[]string{"--rules"}, 0, []string{"privileged"}, "team-label"},
		"explain": {[]string{"--explain=team-label", "--config=tekgate.yaml"}, 0, []string{
			"team-label: error, at admission enforce", "Costs are split by it.", "'team' in object.metadata.labels"}, ""},
		"unknown": {[]string{"--explain=team-label"}, 2, []string{`there is no rule "team-label"`}, ""},
		"wrong": {[]string{"runs.yaml", "--config=wrong.yaml"}, 2,
			[]string{"validator.custom[1].expression: rule few-retries does not compile: ", "at column 22"}, ""},
	} {
		out, errOut, err := lintWith(t, validator.Rules, "", tt.args...)
		all := out + errOut
		if err != nil {
			all += err.Error()
		}
		if cli.Status(err) != tt.status || tt.not != "" && strings.Contains(out, tt.not) {
			t.Errorf("%s: status %d: %s", name, cli.Status(err), all)
		}
		for _, want := range tt.want {
			if !strings.Contains(all, want) {
				t.Errorf("%s: no %q in %s", name, want, all)
			}
		}
	}
	out, _, _ := lintWith(t, validator.Rules, "", "runs.yaml", "--config=tekgate.yaml", own, "-o", "json")
	var report struct{ Findings []problem }
	if err := json.Unmarshal(
		[]byte(out),
		&report,
	); err != nil || len(report.Findings) != 3 ||
		report.Findings[0].Rule != "team-label" {
		t.Errorf("json: %v: %s", err, out)
	}
}
