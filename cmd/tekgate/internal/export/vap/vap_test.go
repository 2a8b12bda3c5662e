package vap_test

import (
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/export/vap"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

func compile(t *testing.T, text string) *vap.Set {
	t.Helper()
	config := validator.Default()
	if err := strict.UnmarshalYAML([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	set, err := vap.Compile(vap.Input{Config: config, Controller: controller})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// condition returns a match condition of a policy, "" for none.
func condition(p admissionv1.ValidatingAdmissionPolicy, name string) string {
	for _, c := range p.Spec.MatchConditions {
		if c.Name == name {
			return c.Expression
		}
	}
	return ""
}

// TestModes holds that each mode of a rule has a policy with its action, for the namespaces that
// have the mode.
func TestModes(t *testing.T) {
	set := compile(
		t,
		"rules: {privileged: {mode: enforce, namespaces: [{match: [a], mode: warn}, {match: ['b-*'], mode: audit}, {match: [c], mode: off}]}}",
	)
	got := map[string]string{}
	for i, p := range set.Policies {
		if strings.HasPrefix(p.Name, "tekgate-privileged-") {
			name := strings.TrimPrefix(p.Name, "tekgate-privileged-")
			got[name+" "+string(set.Bindings[i].Spec.ValidationActions[0])] = condition(p, "mode")
		}
	}
	const space = `(has(request.namespace) ? request.namespace : "")`
	for name, want := range map[string]string{
		"enforce Deny": `(` + space + `.matches("^(?:a)$") ? false : (` + space + `.matches("^(?:b-[^/]*)$") ? false : (` + space + `.matches("^(?:c)$") ? false : true)))`,
		"warn Warn":    `(` + space + `.matches("^(?:a)$") ? true : false)`,
		"audit Audit":  `(` + space + `.matches("^(?:a)$") ? false : (` + space + `.matches("^(?:b-[^/]*)$") ? true : false))`,
	} {
		if got[name] != want {
			t.Errorf("%s: got %s, want %s", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("further policies: %v", got)
	}
}

// TestExceptions holds which annotations count.
func TestExceptions(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                        `object.metadata.annotations["except.tekgate.dev/privileged"].trim().matches(`,
		"exceptions: {maxDays: 90}": `duration("2160h")`,
		"rules: {privileged: {exceptions: authorized}}": `authorizer.group("validator.tekgate.dev").resource("rules")`,
	} {
		if p := find(
			t,
			compile(t, text),
			"tekgate-privileged-warn",
		); !strings.Contains(
			condition(p, "not-excepted"),
			want,
		) {
			t.Errorf("%s: %s", text, condition(p, "not-excepted"))
		}
	}
	for _, text := range []string{"exceptions: {disabled: true}", "rules: {privileged: {exceptions: none}}"} {
		if got := condition(find(t, compile(t, text), "tekgate-privileged-warn"), "not-excepted"); got != "" {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func find(t *testing.T, set *vap.Set, name string) admissionv1.ValidatingAdmissionPolicy {
	t.Helper()
	i := slices.IndexFunc(
		set.Policies,
		func(p admissionv1.ValidatingAdmissionPolicy) bool { return p.Name == name },
	)
	if i < 0 {
		t.Fatalf("there is no policy %s", name)
	}
	return set.Policies[i]
}

// TestRemainder holds that every rule that is on is exported, or named with a reason.
func TestRemainder(t *testing.T) {
	set := compile(t, `
rules: {service-account-forbidden: {mode: enforce}, host-network: {namespaces: [{match: ['[a]'], mode: warn}, {match: [b], mode: off}]}}
custom: [{id: known-task, kinds: [TaskRun], expression: "set.has('Task', 'x')", message: x}]`)
	reasons := map[string]string{}
	for _, l := range set.Remainder {
		reasons[l.Rule] = l.Reason
	}
	for id, want := range map[string]string{"known-task": "uses set", "dangling-reference": "looks up other objects",
		"service-account-forbidden": "accounts.allowed is empty", "image-latest": "follows values", "host-network": "pattern with ["} {
		if !strings.Contains(reasons[id], want) {
			t.Errorf("%s: %q, want %q", id, reasons[id], want)
		}
	}
	for _, r := range validator.Rules {
		exported := slices.ContainsFunc(set.Policies, func(p admissionv1.ValidatingAdmissionPolicy) bool {
			return strings.HasPrefix(p.Name, "tekgate-"+r.ID+"-")
		})
		on := r.DefaultMode() != validator.Off || r.ID == "service-account-forbidden"
		if on != (exported || reasons[r.ID] != "") || exported && reasons[r.ID] != "" {
			t.Errorf("%s: on %v, exported %v, reason %q", r.ID, on, exported, reasons[r.ID])
		}
	}
	if len(set.Limits) == 0 {
		t.Error("no limits are named")
	}
	off := map[string]validator.RuleConfig{}
	for _, r := range validator.Rules {
		off[r.ID] = validator.RuleConfig{Mode: validator.Off}
	}
	none, err := vap.Compile(vap.Input{Config: validator.Config{Rules: off}})
	if err != nil || len(none.Policies)+len(none.Remainder)+len(none.Limits) > 0 {
		t.Errorf("with every rule off: %+v, error %v", none, err)
	}
}
