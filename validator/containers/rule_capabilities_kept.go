package containers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var capabilitiesKeptRule = &rule.Rule{
	ID:       "capabilities-kept",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds steps and sidecars that do not drop ALL capabilities, or add one that is not in
validator.policy.security.pods.capabilities; an empty list allows NET_BIND_SERVICE
alone, as Pod Security's level restricted does.

Their own securityContext counts, and the stepTemplate's where they have none.`,
	Check: checkCapabilitiesKept,
}

func checkCapabilitiesKept(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[SecurityPolicy](p).Pods.Capabilities
	if len(allowed) == 0 {
		allowed = []string{"NET_BIND_SERVICE"}
	}
	for _, c := range finalContainers(p) {
		dropped, added := c.capabilities()
		if !slices.Contains(dropped, "ALL") {
			p.Report(c.Path+".securityContext",
				"%s keeps the container runtime's capabilities: drop ALL, and add what it needs",
				c.Unit)
		}
		for _, capability := range added {
			if !slices.Contains(allowed, capability) {
				p.Report(c.Path+".securityContext.capabilities.add",
					"%s adds capability %s, which validator.policy.security.pods.capabilities does not list: remove it, or have the list extended",
					c.Unit, capability)
			}
		}
	}
}

// capabilities returns what a container drops and adds, without the prefix CAP_.
func (c container) capabilities() (dropped, added []string) {
	var r object.Reader
	fields, _ := c.security("capabilities", false).(map[string]any)
	return plainCapabilities(r.TextList(fields, "drop")), plainCapabilities(r.TextList(fields, "add"))
}

func plainCapabilities(names []string) []string {
	var durationText []string
	for _, name := range names {
		if name != "" {
			durationText = append(durationText, strings.TrimPrefix(strings.ToUpper(name), "CAP_"))
		}
	}
	return durationText
}
