package audit

import (
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// TestAuditNewerTekton holds that audit reads the objects of a newer Tekton in a version that the rules know, and
// goes by the cluster's schemas for what a template creates.
func TestAuditNewerTekton(t *testing.T) {
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)
	s.TektonKinds()
	s.Newer()
	template := func(name, fields string) string {
		return "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata: {name: " + name +
			", namespace: ci}\nspec: {resourcetemplates: [{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: a}, spec: {" +
			fields + ", steps: [{image: a}]}}]}\n"
	}
	s.Create("---\napiVersion: tekton.dev/v2\nkind: Task\nmetadata: {name: privileged, namespace: ci}\n" +
		"spec: {cache: {image: a}, steps: [{name: s, image: a, securityContext: {privileged: true}}]}\n" +
		template("new", "cache: {image: a}") + template("misspelt", "cach: {image: a}"))
	report, errOut, err := s.audited("-n", "ci")
	if err != nil {
		t.Fatal(err)
	}
	has := report.has()
	for finding, want := range map[string]bool{
		"ci Task/privileged privileged":              true,
		"ci TriggerTemplate/misspelt tekton-rejects": true,
		"ci TriggerTemplate/new tekton-rejects":      false,
	} {
		if slices.Contains(has, finding) != want {
			t.Errorf("%s: want %v in %q", finding, want, has)
		}
	}
	if strings.Count(errOut, "the cluster's Tekton v1.17.0 is newer than v1.15.1") != 1 {
		t.Errorf("got %s", errOut)
	}
}
