package validator_test

import (
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// TestSince holds that what an older Tekton accepts is not refused there, unless the
// configuration wants it; and that whoever judges for the future is told of it.
func TestSince(t *testing.T) {
	enforced := validator.Config{Rules: map[string]validator.RuleConfig{"removed-resources": {Mode: validator.Enforce}}}
	tests := []struct {
		name   string
		config validator.Config
		tekton func() string
		want   bool // whether something is refused
	}{
		{"older", validator.Config{}, func() string { return "v0.38.4" }, false},
		{"older, and configured", enforced, func() string { return "v0.38.4" }, true},
		{"the first without", validator.Config{}, func() string { return "v1.0.0" }, true},
		{"today's", validator.Config{}, func() string { return "v1.15.0" }, true},
		{"not known", validator.Config{}, func() string { return "" }, true},
		{"built by somebody", validator.Config{}, func() string { return "devel" }, true},
		{"nobody asked", validator.Config{}, nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &validator.Validator{Config: tt.config, Tekton: tt.tekton}
			var refused []validator.Finding
			for _, s := range subjects(t, "tutorial.yaml", oldObjects) {
				for _, f := range v.Judge(t.Context(), s).In(validator.Enforce) {
					if f.Rule == "removed-resources" || f.Rule == "tekton-rejects" || f.Rule == "removed-api" {
						refused = append(refused, f)
					}
				}
			}
			if len(refused) > 0 != tt.want {
				t.Errorf("refused: %v", refused)
			}
		})
	}
}
