package validator_test

import (
	"fmt"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// TestRulesDocument renders RULES.md, so that it says what the rules say.
func TestRulesDocument(t *testing.T) {
	text := "# Rules of the validator\n\nThis file is rendered from the rules by their tests. [docs/policy.md](../docs/policy.md) says how rules are\nconfigured, and how an object is excepted from one.\n\n"
	text += "| rule | severity | at admission | |\n|---|---|---|---|\n"
	for _, rule := range validator.Rules {
		text += fmt.Sprintf("| [%s](#%s) | %s | %s | %s |\n", rule.ID, rule.ID, rule.Severity, rule.DefaultMode(),
			remark(rule))
	}
	for _, rule := range validator.Rules {
		text += golden.Chapter(rule.ID, rule.Doc, rule.Kinds)
	}
	golden.Equal(t, "RULES.md", []byte(text))
}

func remark(rule *validator.Rule) string {
	switch {
	case rule.Online:
		return "only with `tekgate lint --online`"
	case rule.Files:
		return "only with `tekgate lint`"
	case rule.OptIn:
		return "a policy: switch it on"
	case rule.Others:
		return "about other objects"
	case rule.Since != "":
		return "since Tekton Pipelines " + rule.Since
	}
	return ""
}
