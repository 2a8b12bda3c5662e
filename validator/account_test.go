package validator_test

import (
	"slices"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// TestAccountOfTheWebhook holds that runs without a ServiceAccount are not found where the
// webhook gives them one, and those with the default one still are.
func TestAccountOfTheWebhook(t *testing.T) {
	const folder = "testdata/run-default-account/bad-none"
	v := load(t, folder)
	object := subject(t, golden.JSON(t, golden.Read(t, folder+"/object.yaml")))
	before := v.Judge(t.Context(), object).Findings
	v.Account = "builder"
	after := v.Judge(t.Context(), object).Findings
	if len(after) >= len(before) || len(before) == 0 {
		t.Errorf("%d findings without an account, %d with one", len(before), len(after))
	}
	for _, f := range after {
		if !slices.ContainsFunc(before, func(b validator.Finding) bool { return b.Path == f.Path }) {
			t.Errorf("%s is found with an account alone", f.Path)
		}
	}
}
