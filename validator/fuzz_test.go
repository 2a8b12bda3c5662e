package validator_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// FuzzValidate takes any bytes for an EventListener: no panic, and every
// message is one line, since a warning of two lines never reaches its user.
func FuzzValidate(f *testing.F) {
	for _, folder := range golden.Folders(f) {
		f.Add(golden.JSON(f, golden.Read(f, folder+"/object.yaml")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := &validator.Validator{Config: validator.Default(), References: exists{
			ByKind: map[string][]string{"TriggerBinding": {"git-binding"}},
			Errors: map[string]string{"TriggerTemplate": "two\nlines"},
		}}
		out, err := v.Validate(t.Context(), validator.Rules[0].Kinds[0], namespace, raw)
		if err != nil {
			return
		}
		for _, finding := range out.Denied {
			if strings.ContainsAny(finding.String(), "\r\n") || finding.Path == "" || finding.Message == "" || finding.Rule == "" {
				t.Errorf("finding %#v", finding)
			}
		}
		for _, warning := range out.Warnings {
			if strings.ContainsAny(warning, "\r\n") {
				t.Errorf("warning %q", warning)
			}
		}
	})
}
