package cli

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/tekgate/tekgate/internal/display"
)

// Plural returns a count with its noun, such as "1 error" or "2 errors".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// InNamespace returns " in namespace NAME", or nothing for all namespaces.
func InNamespace(name string) string {
	if name == "" {
		return ""
	}
	return " in namespace " + name
}

// OrDash returns the text, or a dash for an empty cell of a table.
func OrDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Several joins names; it counts those after the twentieth.
func Several(names []string) string {
	return display.AndMore(names, 20)
}

// Diff returns a unified diff of a file that was changed, such as "name (mended)".
// Carriage returns at the ends of lines are left out: they would show as noise.
func Diff(name, changed string, before, after []byte) string {
	return udiff.Unified(name, name+" ("+changed+")", withoutReturns(before), withoutReturns(after))
}

func withoutReturns(text []byte) string { return strings.ReplaceAll(string(text), "\r\n", "\n") }
