// Package findings has the severities of findings, thresholds of them, and the look-up
// of rules.
package findings

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator"
)

// Severities are all severities, the worst first.
var Severities = []validator.Severity{validator.Error, validator.Warning, validator.Info}

// Order returns the position of a severity in Severities.
func Order(severity validator.Severity) int { return slices.Index(Severities, severity) }

// Threshold is the flag --fail-on: the severity from which findings fail the command.
type Threshold string

// never is the threshold that no finding reaches.
const never Threshold = "never"

// Flag adds the flag to a command.
func (t *Threshold) Flag(cmd *cobra.Command, otherwise string) {
	cmd.Flags().StringVar((*string)(t), "fail-on", otherwise,
		"`SEVERITY` from which on findings make the exit status 1: error, warning, info or never")
}

// Check returns an error for an unknown severity.
func (t Threshold) Check() error {
	if t == never || Order(validator.Severity(t)) >= 0 {
		return nil
	}
	return fmt.Errorf("--fail-on %q is not known: say error, warning, info or never", string(t))
}

// ReachedBy reports whether a severity is at or above the threshold.
func (t Threshold) ReachedBy(severity validator.Severity) bool {
	return Order(severity) <= Order(validator.Severity(t))
}

// Known returns an error for the id of a rule that neither the validator nor lint has.
func Known(id string, rules []*validator.Rule) error {
	var ids []string
	for _, rule := range slices.Concat(rules, LintRules) {
		ids = append(ids, rule.ID)
	}
	if slices.Contains(ids, id) {
		return nil
	}
	if best := suggest.Closest(id, ids); best != "" {
		return fmt.Errorf("there is no rule %q: did you mean %q?", id, best)
	}
	return fmt.Errorf("there is no rule %q: `tekgate lint --rules` lists them", id)
}
