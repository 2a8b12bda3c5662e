package mutator_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// bomb is YAML of 50 KB that stands for more than a gigabyte.
var bomb = "kaniko: {args: [&a " + strings.Repeat("x", 25_000) + strings.Repeat(", *a", 6_000) + "]}"

// TestOverlay holds which settings of Namespaces are used.
func TestOverlay(t *testing.T) {
	tests := []struct {
		name, config, overlay string
		want                  string // part of the warning; empty means that they are used
	}{
		{"all by default", "{}", "serviceAccount: {name: own}", ""},
		{"large", "{}", "serviceAccount: {name: own}\n#" + strings.Repeat("x", mutator.MaxOverlay-29), ""},
		{"too large", "{}", "serviceAccount: {name: own}\n#" + strings.Repeat("x", mutator.MaxOverlay-28),
			"more than 65536 bytes"},
		{"aliases", "{}", "serviceAccount: {name: &a own, treatAsUnset: [&b old, *b]}", ""},
		{"bomb of aliases", "{}", bomb, "more than 65536 bytes"},
		{"too many values", "{}", "kaniko: {args: [" + strings.Repeat("a,", 5000) + "]}", "more than 4096 values"},
		{"disabled", "overlays: {disabled: true}", "serviceAccount: {name: own}",
			"mutator.overlays.disabled is true"},
		{"a field", "overlays: {fields: [serviceAccount.name]}", "serviceAccount: {name: own}", ""},
		{"below a field", "overlays: {fields: [serviceAccount]}", "serviceAccount: {name: own}", ""},
		{"not the field", "overlays: {fields: [serviceAccount.name]}",
			"serviceAccount: {name: own, treatAsUnset: [x]}", "serviceAccount.treatAsUnset must be one of"},
		{"another section", "overlays: {fields: [serviceAccount.name]}",
			"{serviceAccount: {name: own}, kaniko: {image: x.io/kaniko}}", "kaniko must be one of"},
		{"a longer name", "overlays: {fields: [serviceAccount.nam]}", "serviceAccount: {name: own}", "config"},
		{"its own bounds", "{}", "{serviceAccount: {name: own}, overlays: {fields: []}}",
			"overlays can be set in Tekgate's configuration only"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config := mutator.Default()
			if err := strict.UnmarshalYAML([]byte(tt.config), &config); err != nil {
				t.Fatal(err)
			}
			m, err := mutator.New(config, nil, cluster{world{
				Namespace:       mutator.Namespace{Annotations: map[string]string{wellknown.MutatorKey: tt.overlay}},
				ServiceAccounts: map[string]mutator.Account{"own": {Secrets: []string{"registry"}}},
			}})
			if tt.want == "config" {
				if err == nil || !strings.Contains(err.Error(), `did you mean "name"?`) {
					t.Errorf("error %v, want one that suggests the field", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			res := m.Handle(t.Context(), create("v1", kanikoRun))
			_, used := res.AuditAnnotations["service-account"]
			warnings := strings.Join(res.Warnings, "\n")
			if used != (tt.want == "") || !strings.Contains(warnings, tt.want) {
				t.Errorf("used: %v, warnings: %.300s", used, warnings)
			}
			if tt.want != "" && !strings.Contains(warnings, `Namespace "ci" is not used, so the cluster's`) {
				t.Errorf("the warning does not say what holds: %.300s", warnings)
			}
		})
	}
}

// TestOverlayCost holds that the estimate grows with what compiles, and that the largest
// overlays leave room for others.
func TestOverlayCost(t *testing.T) {
	small, err := mutator.OverlayCost("serviceAccount: {name: own}")
	if err != nil || small < 32<<10 || small > 64<<10 {
		t.Errorf("a small one costs %d, %v", small, err)
	}
	largest := 0
	for _, text := range []string{
		"kaniko: {args: [" + strings.Repeat("a,", 4000) + "]}",
		"resources: {set: [" + strings.Repeat("{requests: {cpu: 1}},", 800) + "]}",
		"#" + strings.Repeat("x", mutator.MaxOverlay-1),
	} {
		cost, err := mutator.OverlayCost(text)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, cost)
	}
	if largest < 6_000_000 || 7*largest > mutator.MaxOverlays {
		t.Errorf("the largest costs %d of %d", largest, mutator.MaxOverlays)
	}
}
