package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestMissingAccount creates runs that name ServiceAccounts which their namespace lacks.
func TestMissingAccount(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-pipelinerun.yaml")
	b.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "tekton-pipelines", Name: "config-defaults"},
		Data: map[string]string{"default-service-account": "house"}})
	b.create(account("other"))
	b.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "there"}})
	b.configure()
	c, heard := b.warned()
	if err := c.Create(t.Context(), b.parse(runWith("x", "TaskRun", "v1", "serviceAccountName: house"))); err != nil {
		t.Fatal(err)
	}
	if got := aboutAccounts(heard); !strings.Contains(got, `"house" does not exist in namespace "ci"`) {
		t.Errorf("a caller that may not be an API server learns %q", got)
	}
	b.use("install: {apiServerCIDRs: [127.0.0.0/8]}\n" + configuredBuilder)
	tests := []struct {
		name, kind, version, spec string
		want                      []string // warnings of the rule, in their order
	}{
		{"a-missing", "TaskRun", "v1", "serviceAccountName: missing", []string{
			`spec.serviceAccountName: ServiceAccount "missing" does not exist in namespace "ci", so Tekton fails this TaskRun for good: create it first, or correct the name`}},
		{"there", "TaskRun", "v1", "serviceAccountName: there", nil},
		{"none", "TaskRun", "v1", "timeout: 1h", nil},
		{"default", "TaskRun", "v1beta1", "serviceAccountName: default", nil},
		{"of-another-namespace", "TaskRun", "v1beta1", "serviceAccountName: builder", []string{
			`spec.serviceAccountName: ServiceAccount "builder" does not exist in namespace "ci", so Tekton fails this TaskRun for good: create it first, or correct the name`}},
		{"of-tekton", "TaskRun", "v1", "serviceAccountName: house", []string{
			`spec.serviceAccountName: ServiceAccount "house", the default-service-account of Tekton, does not exist in namespace "ci", so Tekton fails this TaskRun for good: create it first, or correct the name`}},
		{"misspelt", "PipelineRun", "v1", "taskRunTemplate: {serviceAccountName: theer}, taskRunSpecs: [{pipelineTaskName: a, serviceAccountName: missing}, {pipelineTaskName: b, serviceAccountName: there}]",
			[]string{
				`spec.taskRunTemplate.serviceAccountName: ServiceAccount "theer" does not exist in namespace "ci", so Tekton fails this PipelineRun for good: did you mean "there"?`,
				`spec.taskRunSpecs[0].serviceAccountName: ServiceAccount "missing" does not exist in namespace "ci", so Tekton fails task "a" for good: create it first, or correct the name`}},
		{"beta", "PipelineRun", "v1beta1", "serviceAccountName: there, taskRunSpecs: [{pipelineTaskName: a, taskServiceAccountName: missing}]",
			[]string{
				`spec.taskRunSpecs[0].taskServiceAccountName: ServiceAccount "missing" does not exist in namespace "ci", so Tekton fails task "a" for good: create it first, or correct the name`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := c.Create(t.Context(), b.parse(runWith(tt.name, tt.kind, tt.version, tt.spec))); err != nil {
				t.Fatal(err)
			}
			want := ""
			for _, text := range tt.want {
				want += text + " (rule missing-service-account)\n"
			}
			if got := aboutAccounts(heard); got != want {
				t.Errorf("the warnings are\n%swant\n%s", got, want)
			}
		})
	}
	t.Run("created a moment ago", func(t *testing.T) { b.on(t).testNewAccount(c, heard) })
	t.Run("a look-up that fails", func(t *testing.T) { b.on(t).testUnknownAccount(c, heard) })
}

func runWith(name, kind, version, spec string) string {
	what := "taskSpec: {steps: [{name: s, image: \"registry.example.com/a:1\"}]}"
	if kind == "PipelineRun" {
		what = "pipelineSpec: {tasks: [{name: a, " + what + "}, {name: b, " + what + "}]}"
	}
	return fmt.Sprintf("{apiVersion: tekton.dev/%s, kind: %s, metadata: {name: %s, namespace: ci}, spec: {%s, %s}}",
		version, kind, name, spec, what)
}

// aboutAccounts returns the warnings of the rule, one per line.
func aboutAccounts(heard *heard) string {
	var lines strings.Builder
	for line := range strings.SplitSeq(heard.text(), "\n") {
		if strings.Contains(line, "missing-service-account") || strings.Contains(line, "ServiceAccount") {
			lines.WriteString(line + "\n")
		}
	}
	return lines.String()
}

// testNewAccount leaves the cache no time.
func (b *bed) testNewAccount(c client.Client, heard *heard) {
	for i := range 10 {
		name := fmt.Sprintf("new-%d", i)
		b.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: name}})
		run := b.parse(runWith(name, "TaskRun", "v1", "serviceAccountName: "+name))
		if err := c.Create(b.Context(), run); err != nil {
			b.Fatal(err)
		}
		if got := aboutAccounts(heard); got != "" {
			b.Errorf("of one that was just created: %s", got)
		}
	}
}

// testUnknownAccount takes the server's permissions away.
func (b *bed) testUnknownAccount(c client.Client, heard *heard) {
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "tekgate-webhook"}}
	if err := b.client.Delete(b.Context(), binding); err != nil {
		b.Fatal(err)
	}
	b.eventually("nothing is said", func() error {
		if err := c.Create(b.Context(), b.parse(runWith("unknown", "TaskRun", "v1", "serviceAccountName: missing")),
			client.DryRunAll); err != nil {
			return err
		}
		if got := aboutAccounts(heard); got != "" {
			return errors.New(got)
		}
		return nil
	})
}
