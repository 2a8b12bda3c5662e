package check_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/internal/golden"
)

// TestReference renders docs/checks.md, so that every hint leads somewhere.
func TestReference(t *testing.T) {
	var text strings.Builder
	text.WriteString("# Checks\n\n" +
		"What `tekgate check` asks, in its order, and what to do when the answer is no.\n" +
		"A check that is fatal ends the program with status 1; a warning does not. This\n" +
		"file is rendered from the checks by their tests.\n")
	category := ""
	for _, c := range check.Checks {
		if c.Category != category {
			category = c.Category
			fmt.Fprintf(&text, "\n**%s**\n", category)
		}
		fmt.Fprintf(&text, "\n## %s\n\n%s: %s.%s\n\n%s\n", c.ID, severity(c), c.Title, retried(c), c.Doc)
	}
	golden.Equal(t, filepath.Join("..", "..", "docs", "checks.md"), []byte(text.String()))
}

func severity(c check.Check) string {
	if c.Fatal {
		return "Fatal"
	}
	return "Warning"
}

func retried(c check.Check) string {
	if c.Retry {
		return " With --wait it is asked again."
	}
	return ""
}

var id = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)

// TestChecksAreWhole: whoever adds a check says everything about it.
func TestChecksAreWhole(t *testing.T) {
	seen, category := map[string]bool{}, map[string]bool{}
	last := ""
	for _, c := range check.Checks {
		if !id.MatchString(c.ID) || seen[c.ID] {
			t.Errorf("check %q: its ID is taken or is no anchor", c.ID)
		}
		if c.Category == "" || c.Title == "" || !strings.Contains(c.Doc, "\n\n") {
			t.Errorf(
				"check %s needs a category, a title, and a doc that says why it matters and what to do, a paragraph each",
				c.ID,
			)
		}
		if c.Needs != "" && !seen[c.Needs] {
			t.Errorf("check %s needs %q, which does not stand before it", c.ID, c.Needs)
		}
		if c.Category != last && category[c.Category] {
			t.Errorf("check %s stands apart from the others of its category", c.ID)
		}
		seen[c.ID], category[c.Category], last = true, true, c.Category
	}
}
