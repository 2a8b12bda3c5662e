package mutate

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// TestLive tests mutate --live with a real API server.
func TestLive(t *testing.T) {
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)
	s.TektonKinds()
	t.Run("everything", s.mutateLive)
	t.Run("little permission", func(t *testing.T) { s.restricted(t, c.Kubeconfig) })
}

func (s *site) mutateLive(t *testing.T) {
	s.T = t
	live := append([]string{"--live", "-n", "ci", "--explain"}, s.Kubeconfig...)
	s.Create("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: ci}\n")
	out, errOut := mutateText(t, kanikoRun, live...)
	if strings.Contains(out, "DOCKER_CONFIG") ||
		!strings.Contains(errOut, `ServiceAccount "default" in namespace "ci" lists no Secret`) {
		t.Errorf("got\n%s%s", out, errOut)
	}
	house := append(
		[]string{"--config",
			clitest.File(t, "tekgate.yaml",
				"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmutator: {serviceAccount: {name: builder}}\n")},
		live...)
	_, errOut = mutateText(t, kanikoRun, house...)
	if !strings.Contains(errOut, `namespace "ci" has no ServiceAccount "builder"`) {
		t.Errorf("what is not in the cluster is not assumed: %s", errOut)
	}
	const account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: builder, namespace: ci}\nsecrets: [{name: harbor}]\n"
	out, _ = mutateText(t, kanikoRun+"---\n"+account, house...)
	if !strings.Contains(out, "serviceAccountName: builder") || !strings.Contains(out, "DOCKER_CONFIG") {
		t.Errorf("what is in the input comes before the cluster: got\n%s", out)
	}
	s.Create(account + "---\n" + strings.Replace(task, "name: NAME", "name: build, namespace: ci", 1))
	const ref = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r}\nspec: {taskRef: {name: build}}\n"
	out, errOut = mutateText(t, ref, house...)
	if !strings.Contains(out, "serviceAccountName: builder") ||
		!strings.Contains(errOut, `set DOCKER_CONFIG for Task "build"`) {
		t.Errorf("a Task of the cluster: got\n%s%s", out, errOut)
	}
	s.Create(
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-defaults, namespace: tekton-pipelines}\ndata: {default-forbidden-env: 'HOME, DOCKER_CONFIG'}\n")
	if _, errOut = mutateText(t, ref, house...); !strings.Contains(errOut,
		"default-forbidden-env names DOCKER_CONFIG") {
		t.Errorf("Tekton's defaults are not read: %s", errOut)
	}
	s.Create("apiVersion: v1\nkind: Namespace\nmetadata: {name: out, labels: {tekgate.dev/mutate: disabled}}\n")
	out, errOut = mutateText(t,
		strings.Replace(kanikoRun, "{generateName: build-}", "{generateName: build-, namespace: out}", 1), live...)
	if strings.Contains(out, "DOCKER_CONFIG") || !strings.Contains(errOut, `Namespace "out" has the label`) {
		t.Errorf("got\n%s%s", out, errOut)
	}
}

// restricted tests what a user gets who may read TaskRuns only.
func (s *site) restricted(t *testing.T, kubeconfig string) {
	s.T = t
	s.Create(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: runs}
rules: [{apiGroups: [tekton.dev], resources: [taskruns], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: runs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: runs}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
`)
	eve := clitest.Impersonating(t, kubeconfig, "eve")
	out, errOut := mutateText(t, kanikoRun, "--live", "-n", "ci", "--kubeconfig", eve)
	if !strings.Contains(out, "DOCKER_CONFIG") ||
		!strings.Contains(errOut, "warning: reading ServiceAccount ci/default: ") ||
		strings.Count(errOut, "reading ConfigMap tekton-pipelines/feature-flags") != 1 {
		t.Errorf("got\n%s%s", out, errOut)
	}
}
