// Package expression finds the expressions $(…) of Tekton in texts.
//
// Pipelines and Triggers replace them by text, each with regular expressions of its
// own, and leave alone what they do not know; so an expression that is misspelt, or
// never closed, reaches a script or an API server as it stands. Find therefore
// returns what looks like an expression, not only what Tekton takes for one.
//
// The shell's own $(command) looks the same. Whoever looks into scripts has to ask
// for known beginnings, see Named. The values of bindings, where everything is
// Triggers' own, are read as Triggers reads them, see Bound.
package expression

import (
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// Expression is one $(…) in a text.
type Expression struct {
	Text   string // as it stands: $(params.image), up to the end of the text where it is not closed
	Inner  string // what stands between the parentheses
	Start  int    // of Text, in bytes
	End    int    // the first byte after Text
	Closed bool
}

// Find returns the expressions of a text in their order, $$(…) left out, which
// Kubernetes takes for a literal. One within another is not returned: $(a.$(b)) is
// one expression.
func Find(text string) []Expression {
	var found []Expression
	for at := 0; ; {
		start := strings.Index(text[at:], "$(")
		if start < 0 {
			return found
		}
		start += at
		if start > 0 && text[start-1] == '$' {
			at = start + 2
			continue
		}
		end, closed := closing(text, start+2)
		e := Expression{Text: text[start:end], Inner: text[start+2 : end], Start: start, End: end, Closed: closed}
		if closed {
			e.Inner = text[start+2 : end-1]
		}
		found = append(found, e)
		at = end
	}
}

// closing returns the position after the parenthesis that closes an expression.
// Parentheses within count, whether they stand in quotes or not, as they do in
// Triggers (pkg/template/jsonpath.go, findTektonExpressions).
func closing(text string, at int) (end int, closed bool) {
	depth := 1
	for ; at < len(text); at++ {
		switch text[at] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return at + 1, true
			}
		}
	}
	return len(text), false
}

// Path is what an expression refers to, part by part.
type Path []string

var (
	quoted  = lazyregexp.New(`^\[\s*(?:"([^"]*)"|'([^']*)')\s*\]`)
	indexed = lazyregexp.New(`^\[([0-9]+|\*)\]`)
)

// Path takes the inner text apart: params.image, params["image"], params['image']
// and tasks.build.results.urls[*] alike; an index is a part with its brackets. It
// reports false for what is not of this form, JSONPath filters and shell commands
// among it.
func (e Expression) Path() (Path, bool) {
	rest, path := strings.TrimSpace(e.Inner), Path(nil)
	for rest != "" {
		if rest[0] != '[' {
			name := leadingName(strings.TrimPrefix(rest, "."))
			if name == "" || (len(path) > 0) != (rest[0] == '.') {
				return nil, false
			}
			path, rest = append(path, name), strings.TrimPrefix(rest, ".")[len(name):]
		} else if m := quoted.FindStringSubmatch(rest); m != nil {
			path, rest = append(path, m[1]+m[2]), rest[len(m[0]):]
		} else if m := indexed.FindString(rest); m != "" {
			path, rest = append(path, m), rest[len(m):]
		} else {
			return nil, false
		}
	}
	return path, len(path) > 0
}

// Root is the first word of the inner text, up to a dot, a bracket or anything else
// that is no part of a name: params, tt, tasks, body, or the command of a shell.
func (e Expression) Root() string {
	return leadingName(strings.TrimLeft(e.Inner, " "))
}

// leadingName returns the letters, digits, dashes and underscores with which a text begins.
func leadingName(text string) string {
	for end := range len(text) {
		c := text[end]
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return text[:end]
		}
	}
	return text
}

// Any tells whether a text holds an expression, closed or not.
func Any(text string) bool { return len(Find(text)) > 0 }
