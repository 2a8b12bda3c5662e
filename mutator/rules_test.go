package mutator_test

import (
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/mutator"
)

// TestRulesDocument renders RULES.md, so that it says what the rules say.
func TestRulesDocument(t *testing.T) {
	text := "# Rules of the mutator\n\nThey are applied in this order. This file is rendered from the rules by their tests.\n"
	for _, rule := range mutator.Rules {
		text += golden.Chapter(rule.ID, rule.Doc, rule.Kinds)
	}
	golden.Equal(t, "RULES.md", []byte(text))
}
