package validator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// TestRulesDocument renders RULES.md, so that it says what the rules say.
func TestRulesDocument(t *testing.T) {
	var text strings.Builder
	text.WriteString("# Rules of the validator\n\nThis file is rendered from the rules by their tests.\n")
	for _, rule := range validator.Rules {
		fmt.Fprintf(&text, "\n## %s\n\nKinds:", rule.ID)
		for i, kind := range rule.Kinds {
			if i > 0 {
				text.WriteString(",")
			}
			fmt.Fprintf(&text, " %s `%s`", kind.Kind, kind.GroupVersion())
		}
		fmt.Fprintf(&text, "\n\n%s\n", rule.Doc)
	}
	golden.Equal(t, "RULES.md", []byte(text.String()))
}
