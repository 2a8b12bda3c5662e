package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
)

// leftAlone are runs that the webhook changes and policies do not, by the limit that
// says so. (account-names is not among them: the API server drops that field before
// any admission, with the CRDs of this Tekton.)
var leftAlone = map[string]string{
	"local-tasks":      `{kind: TaskRun, spec: {taskRef: {name: builds}}}`,
	"nested-pipelines": `{kind: PipelineRun, spec: {pipelineSpec: {tasks: [{name: a, pipelineSpec: {tasks: [{name: b, taskSpec: {steps: [%[1]s]}}]}}]}}}`,
	"paths":            `{kind: TaskRun, spec: {taskSpec: {steps: [{image: x, command: [./crane]}, {image: gcr.io/kaniko-project/executor, volumeMounts: [{name: v, mountPath: /a//b}]}]}}}`,
	"kaniko-dir":       `{kind: TaskRun, spec: {taskSpec: {steps: [{image: "ghcr.io/osscontainertools/kaniko:v1.28.3", args: [--kaniko-dir=/kd]}]}}}`,
	"auth-file":        `{kind: TaskRun, spec: {taskSpec: {steps: [{image: "docker:28", command: [docker], env: [{name: REGISTRY_AUTH_FILE, value: /a}]}]}}}`,
	"accounts":         `{kind: TaskRun, spec: {serviceAccountName: later, taskSpec: {steps: [%[1]s]}}}`,
	"parameters":       `{kind: TaskRun, spec: {params: [{name: i, value: gcr.io/kaniko-project/executor}], taskSpec: {params: [{name: i}], steps: [{image: $(params.i)}]}}}`,
	"originals":        `{kind: TaskRun, metadata: {annotations: {tekgate.dev/original-images: "{ }"}}, spec: {taskSpec: {steps: [%[1]s]}}}`,
}

// TestLimits holds that what a limit names is left as it is, while the webhook would
// change it.
func TestLimits(t *testing.T) {
	b := newBed(t)
	c := b.prepared("{}", "limits")
	c.world.Tasks = map[string]map[string]any{"builds": decode(t, golden.JSON(t, []byte(
		`{metadata: {name: builds}, spec: {steps: [{image: gcr.io/kaniko-project/executor}]}}`)))}
	set := c.set(t)
	b.enforce(set)
	for id, text := range leftAlone {
		t.Run(id, func(t *testing.T) {
			at := *b
			at.T = t
			if strings.Contains(text, "%[1]s") {
				text = fmt.Sprintf(text, "{image: gcr.io/kaniko-project/executor}")
			}
			raw := golden.JSON(t, []byte("{apiVersion: tekton.dev/v1, "+strings.TrimPrefix(text, "{")))
			out, err := c.exported(set).mutator(t).Mutate(t.Context(), mutator.Request{Kind: kindOf(t, raw),
				Namespace: c.space, Raw: raw})
			if err != nil || len(out.Did()) == 0 {
				t.Errorf("the mutator does %v, error %v", out.Did(), err)
			}
			got, err := at.sent(raw, c.space)
			if err != nil {
				t.Fatal(err)
			}
			untouched, err := at.sent(raw, off)
			if err != nil {
				t.Fatal(err)
			}
			if diff := same(got, untouched); diff != "" {
				t.Errorf("policies change it:\n%s", diff)
			}
			if !slices.ContainsFunc(set.Limits, func(l policy.Limit) bool { return l.ID == id }) {
				t.Errorf("the limit is not named")
			}
		})
	}
}

// TestRemainder holds which rules are left out, and that each has a reason.
func TestRemainder(t *testing.T) {
	tests := []struct {
		name, config string
		want         []string // rule/id
	}{
		{"default", "{}", []string{"local-tasks/resolver", "kaniko/kaniko"}},
		{"nothing", "{mutator: {localTasks: {disabled: true}, dockerConfig: {disabled: true}, kaniko: {disabled: true}}}", nil},
		{"stored Tasks", "{mutator: {localTasks: {mode: stored}, kaniko: {disabled: true}}}",
			[]string{"local-tasks/stored"}},
		{"local Tasks in Pods", "{mutator: {localTasks: {mode: pod-template}, kaniko: {disabled: true}}}", nil},
		{"classes in a scope",
			"{mutator: {localTasks: {disabled: true}, kaniko: {disabled: true}, dockerConfig: {only: {namespaces: ['team-[ab]']}}}}",
			[]string{"docker-config/patterns"}},
		{"classes in steps",
			"{mutator: {localTasks: {disabled: true}, kaniko: {disabled: true}, env: {set: [{steps: {names: ['[ab]']}, variables: [{name: A}]}]}}}",
			[]string{"env/patterns"}},
		{"order of variables",
			"{mutator: {localTasks: {disabled: true}, kaniko: {disabled: true}, env: {set: [{variables: [{name: REGISTRY_AUTH_FILE, value: a}]}]}}}",
			[]string{"docker-config/order"}},
		{"names of Tekton",
			"{mirror: {registry: r.io/t}, mutator: {localTasks: {disabled: true}, kaniko: {disabled: true}, imageMirror: {enabled: true}}}",
			[]string{"image-mirror/mirror"}},
		{"single images", "{mirror: {images: {alpine: r.io/alpine}}, mutator: {localTasks: {disabled: true}, kaniko: {disabled: true}, imageMirror: {enabled: true}}}",
			[]string{"image-mirror/mirror"}},
		{"the house's Kaniko",
			"{mirror: {preset: daocloud}, mutator: {localTasks: {disabled: true}, kaniko: {image: r.io/k}, imageMirror: {enabled: true}}}",
			[]string{"kaniko/kaniko", "image-mirror/order"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testCase{name: tt.name, config: file{Mutator: mutator.Default()}}
			c.parse(t, tt.config)
			set := c.set(t)
			var got []string
			for _, l := range set.Remainder {
				got = append(got, l.Rule+"/"+l.ID)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			for _, l := range slices.Concat(set.Remainder, set.Limits) {
				if len(l.Reason) < 20 || strings.Contains(l.Reason, "\n") {
					t.Errorf("%s has the reason %q", l.ID, l.Reason)
				}
			}
			if len(set.Policies) != len(set.Bindings) || len(set.Policies) == 0 && len(set.Limits) > 0 {
				t.Errorf("%d policies, %d bindings, %d limits", len(set.Policies), len(set.Bindings), len(set.Limits))
			}
		})
	}
}
