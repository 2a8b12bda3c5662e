// Package display formats values for readers: people at a terminal, and programs that
// parse the output.
package display

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// JSON writes a value as indented JSON that leaves <, > and & as they are.
func JSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// AndMore joins the first items of a list, and adds the number of those left out:
// "a, b and 3 more".
func AndMore(items []string, most int) string {
	if len(items) <= most {
		return strings.Join(items, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(items[:most], ", "), len(items)-most)
}

// Printable replaces the control characters of a text, line ends included, and those that change the
// direction of what follows, so that text from outside cannot control the terminal that it is printed on.
func Printable(text string, replacement rune) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || unicode.Is(unicode.Bidi_Control, r) {
			return replacement
		}
		return r
	}, text)
}
