package validator_test

import (
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// TestRulesDocument renders RULES.md, so that it says what the rules say.
func TestRulesDocument(t *testing.T) {
	text := "# Rules of the validator\n\nThis file is rendered from the rules by their tests.\n"
	for _, rule := range validator.Rules {
		text += golden.Chapter(rule.ID, rule.Doc, rule.Kinds)
	}
	golden.Equal(t, "RULES.md", []byte(text))
}
