package validator_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/rule"
)

// TestKnownReleases holds that the releases which rules know are those of go.mod.
func TestKnownReleases(t *testing.T) {
	for group, name := range map[string]string{rule.TektonGroup: "pipeline", rule.TriggersGroup: "triggers"} {
		module, err := release.Pinned(t.Context(), "github.com/tektoncd/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if known := rule.KnownReleases[group]; known != module.Version {
			t.Errorf("%s: rules know %s, and go.mod has %s", group, known, module.Version)
		}
	}
}

// TestIsNewer holds that a later minor release is newer, and nothing else.
func TestIsNewer(t *testing.T) {
	for version, want := range map[string]bool{"v1.16.0": true, "v1.17.0-rc.1": true, "v2.0.0": true, "1.16.1": true,
		"v1.15.1": false, "v1.15.9": false, "v1.0.0": false, "v0.99.0": false, "devel": false, "": false} {
		if got := rule.IsNewer(rule.TektonGroup, version); got != want {
			t.Errorf("%q is newer: %v", version, got)
		}
	}
}

// TestNewerField holds what a schema tells of a field.
func TestNewerField(t *testing.T) {
	kind := schema.GroupVersionKind{Group: rule.TektonGroup, Version: "v1", Kind: "Task"}
	object := func(properties map[string]any) map[string]any {
		return map[string]any{"type": "object", "properties": properties}
	}
	text := map[string]any{"type": "string"}
	schemas := map[schema.GroupVersionKind]map[string]any{kind: object(map[string]any{
		"spec": object(map[string]any{
			"cache":  object(map[string]any{"image": text}),
			"steps":  map[string]any{"type": "array", "items": object(map[string]any{"image": text})},
			"labels": map[string]any{"type": "object", "additionalProperties": object(map[string]any{"x": text})},
			"any":    map[string]any{"type": "object", "additionalProperties": true},
			"free": map[string]any{"x-kubernetes-preserve-unknown-fields": true,
				"properties": map[string]any{"own": object(nil)}},
		})})}
	newer := &rule.Newer{Version: "v1.17.0", Schemas: schemas}
	for path, want := range map[string]rule.FieldStatus{
		"spec.cache":            rule.FieldDeclared,
		"spec.cache.image":      rule.FieldDeclared,
		"spec.cache.imag":       rule.FieldAbsent,
		"spec.cach":             rule.FieldAbsent,
		"spec.steps[0].image":   rule.FieldDeclared,
		"spec.steps[3].cache":   rule.FieldAbsent,
		"spec.labels.mine.x":    rule.FieldDeclared,
		"spec.labels.mine.y":    rule.FieldAbsent,
		"spec.any.thing":        rule.FieldKept,
		"spec.free.thing":       rule.FieldKept,
		"spec.free.thing.below": rule.FieldKept,
		"spec.free.own.thing":   rule.FieldAbsent,
	} {
		if got := newer.Field(kind, path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if got := newer.Field(kind.GroupKind().WithVersion("v9"), "spec"); got != rule.FieldAbsent {
		t.Errorf("of a version that is not served: %v", got)
	}
	if got := (&rule.Newer{}).Field(kind, "spec.x"); got != rule.FieldUnknown {
		t.Errorf("without schemas: %v", got)
	}
}

// TestNewerTriggers holds that what only an older Triggers refuses is no error where a newer one is installed.
func TestNewerTriggers(t *testing.T) {
	object := []byte(`{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "TriggerBinding",
		"metadata": {"name": "b", "namespace": "ci"}, "spec": {"params": [{"name": "a", "value": "b"}], "newField": 1}}`)
	for _, newer := range []bool{false, true} {
		v := &validator.Validator{Offline: true}
		if newer {
			v.Releases = map[string]*rule.Newer{rule.TriggersGroup: {Version: "v0.40.0"}}
		}
		severity := map[bool]validator.Severity{false: validator.Error, true: validator.Info}[newer]
		found := 0
		for _, f := range v.Judge(t.Context(), subject(t, object)).Findings {
			if f.Rule != "triggers-rejects" {
				continue
			}
			if found++; f.Severity != severity || newer && f.Mode == validator.Enforce {
				t.Errorf("newer %v: got %+v", newer, f)
			}
		}
		if found != 1 {
			t.Errorf("newer %v: %d findings", newer, found)
		}
	}
}

// TestUnservedInNewer holds that admission refuses no version which a newer Tekton may serve.
func TestUnservedInNewer(t *testing.T) {
	template := []byte(`{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "TriggerTemplate",
		"metadata": {"name": "t", "namespace": "ci"}, "spec": {"resourcetemplates": [{"apiVersion": "tekton.dev/v2",
		"kind": "TaskRun", "metadata": {"generateName": "a-"}, "spec": {"taskRef": {"name": "a"}}}]}}`)
	config := validator.Config{}
	config.Policy.Triggers.ValidateAll = true
	for version, want := range map[string]bool{"v1.15.1": true, "v1.17.0": false} {
		v := &validator.Validator{Config: config, Tekton: func() string { return version }}
		refused := false
		for _, f := range v.Judge(t.Context(), subject(t, template)).In(validator.Enforce) {
			refused = refused || f.Rule == "unserved-api"
		}
		if refused != want {
			t.Errorf("Tekton %s: refused %v", version, refused)
		}
	}
}
