package validator_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// FuzzJudge takes any bytes for an object of any kind: no rule panics, what is found
// is complete, and every message is one line, since a warning of two lines never
// reaches its user.
func FuzzJudge(f *testing.F) {
	for _, folder := range golden.Folders(f) {
		f.Add(golden.JSON(f, golden.Read(f, folder+"/object.yaml")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := object.Decode(raw); err != nil {
			return
		}
		s := subject(t, raw)
		config := validator.Default()
		config.Rules = map[string]validator.RuleConfig{}
		for _, rule := range validator.Rules {
			config.Rules[rule.ID] = validator.RuleConfig{Mode: validator.Warn}
		}
		v := &validator.Validator{Config: config, Cluster: validator.NewSet([]validator.Subject{s})}
		out := v.Judge(t.Context(), s)
		for _, finding := range out.Findings {
			if strings.ContainsAny(finding.String(), "\r\n") || finding.Path == "" || finding.Message == "" || finding.Rule == "" || finding.Severity == "" {
				t.Errorf("finding %#v", finding)
			}
		}
		for _, unknown := range out.Unknown {
			if strings.ContainsAny(unknown, "\r\n") {
				t.Errorf("unknown %q", unknown)
			}
		}
	})
}
