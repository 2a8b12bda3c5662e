package validator_test

import (
	"slices"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/internal/release"
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

// TestBefore holds that a rule that judges by the code of one release does not refuse what a newer
// Tekton accepts: a field of a Task in a TriggerTemplate that the code does not know.
func TestBefore(t *testing.T) {
	template := []byte(`{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "TriggerTemplate",
		"metadata": {"name": "t", "namespace": "ci"}, "spec": {"resourcetemplates": [{"apiVersion": "tekton.dev/v1",
		"kind": "TaskRun", "metadata": {"generateName": "a-"}, "spec": {"cache": {"cacheImage": "a"},
		"taskSpec": {"steps": [{"image": "a", "script": "true"}]}}}]}}`)
	enforced := validator.Config{Rules: map[string]validator.RuleConfig{"tekton-rejects": {Mode: validator.Enforce}}}
	tests := []struct {
		tekton        string
		config        validator.Config
		refused, said bool
	}{
		{"v1.15.1", validator.Config{}, true, true},
		{"", validator.Config{}, true, true},
		{"devel", validator.Config{}, true, true},
		{"v1.16.0", validator.Config{}, false, false},
		{"v1.17.0", validator.Config{}, false, false},
		{"v2.0.0", enforced, false, true},
		{"v1.15.1", enforced, true, true},
	}
	for _, tt := range tests {
		v := &validator.Validator{Config: tt.config, Tekton: func() string { return tt.tekton }}
		outcome := v.Judge(t.Context(), subject(t, template))
		said := slices.ContainsFunc(outcome.Findings,
			func(f validator.Finding) bool { return f.Rule == "tekton-rejects" })
		if refused := len(outcome.In(validator.Enforce)) > 0; refused != tt.refused || said != tt.said {
			t.Errorf("Tekton %q, configured %v: refused %v, said %v: %v", tt.tekton, len(tt.config.Rules) > 0, refused,
				said, outcome.Findings)
		}
	}
}

// TestBeforeIsNext holds that the rules go by the release in go.mod: the next minor is the first that
// they do not know.
func TestBeforeIsNext(t *testing.T) {
	module, err := release.Pinned(t.Context(), "github.com/tektoncd/pipeline")
	if err != nil {
		t.Fatal(err)
	}
	next := "v" + semver.MustParse(module.Version).IncMinor().String()
	for _, r := range validator.Rules {
		if r.Before != "" && r.Before != next {
			t.Errorf("rule %s is for releases before %s, want %s", r.ID, r.Before, next)
		}
	}
}
