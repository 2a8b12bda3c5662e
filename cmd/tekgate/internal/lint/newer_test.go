package lint

import (
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// newerTasks are objects of a Tekton that is newer than this program.
var newerTasks = []struct {
	text string
	// known is what is found by the schema of the cluster, hidden where it cannot be read; "" is nothing.
	known, hidden string
}{
	{"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {cache: {image: a}, steps: [{image: a}]}\n",
		"", ":4:8: info: this tekgate, which knows Tekton v1.15.1, does not know the field"},
	{"apiVersion: tekton.dev/v2\nkind: Task\nmetadata: {name: t}\nspec: {cache: {image: a}, steps: [{image: a}]}\n",
		"", ":1:13: info: Tekton v1.15.1 serves no Task in tekton.dev/v2, and whether the cluster's v1.17.0 does"},
	{"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {cach: {image: a}, steps: [{image: a}]}\n",
		":4:8: error: Tekton refuses this Task: unknown field", ":4:8: info: "},
	{"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {cache: {imag: a}, steps: [{image: a}]}\n",
		":4:16: error: Tekton refuses this Task: the schema of the cluster's v1.17.0 has no such field", ":4:8: info: "},
	{"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{image: a, newField: 1}]}\n",
		":4:27: info: this tekgate, which knows Tekton v1.15.1, does not know the field", ":4:27: info: "},
	{"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {cache: {image: a}, steps: []}\n",
		":4:34: warning: Tekton v1.15.1 would refuse this Task, and v1.17.0, which is installed, may not: ", ":4:8: info: "},
	{"apiVersion: tekton.dev/v3\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{image: a}]}\n",
		":1:13: error: Tekton serves no Task in tekton.dev/v3", ":1:13: info: "},
	{"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec: {steps: [{image: a}]}\n", "", ""},
}

// TestLintNewerTekton holds what a real cluster's schemas decide where its Tekton is newer than this program, and
// that without the permission to read them nothing is an error for being new.
func TestLintNewerTekton(t *testing.T) {
	c := cluster.StartEmpty(t)
	s := clitest.NewSite(t, program, c.Config, c.Kubeconfig)
	s.TektonKinds()
	s.Newer()
	s.Create("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: reader}\n" +
		"rules: [{apiGroups: [''], resources: [configmaps], verbs: [get]}]\n---\n" +
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: reader}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}\n" +
		"subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: reader}]\n")
	live := []string{"--live", "-n", "ci", only("tekton-rejects", "unserved-api"), "--fail-on", "never"}
	for _, c := range newerTasks {
		lint := func(kubeconfig ...string) (string, string) {
			out, errOut, err := program.Run(t, c.text, slices.Concat([]string{"lint", "-"}, live, kubeconfig)...)
			if err != nil {
				t.Fatalf("got %v\n%s", err, errOut)
			}
			return strings.TrimPrefix(out, "standard input"), errOut
		}
		out, errOut := lint(s.Kubeconfig...)
		if (c.known == "") != (out == "") || !strings.HasPrefix(out, c.known) {
			t.Errorf("%s\ngot %s\nwant %s", c.text, out, c.known)
		}
		note := "the cluster's Tekton v1.17.0 is newer than v1.15.1 that this tekgate knows; what it adds was judged by the " +
			"cluster's schema alone"
		if strings.Count(errOut, note) != 1 {
			t.Errorf("%s\nis not told once in\n%s", note, errOut)
		}
		out, errOut = lint("--kubeconfig", clitest.Impersonating(t, s.Kubeconfig[1], "reader"))
		if (c.hidden == "") != (out == "") || !strings.HasPrefix(out, c.hidden) || strings.Contains(out, ": error: ") {
			t.Errorf("without permission: %s\ngot %s\nwant %s", c.text, out, c.hidden)
		}
		if !strings.Contains(errOut, "its schemas cannot be read, so what is not known is only a hint") {
			t.Errorf("without permission: got %s", errOut)
		}
	}
	_, errOut, err := program.Run(t, newerTasks[0].text, slices.Concat([]string{"lint", "-"}, live,
		[]string{"--kubeconfig", clitest.Impersonating(t, s.Kubeconfig[1], "nobody")})...)
	if err != nil || !strings.Contains(errOut, "which Tekton the cluster has is not known, so its objects were judged as for v1.15.1") {
		t.Errorf("without any permission: %v\n%s", err, errOut)
	}
}
