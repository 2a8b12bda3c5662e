package expression

import (
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// reference is the longest beginning of a text that can be a reference to something
// by name: params.image, params["an.image"], results.urls[0], a.b[*].
var reference = lazyregexp.New(`^(?:[A-Za-z0-9_.-]|\[(?:"[^"\n]*"|'[^'\n]*'|[0-9]+|\*)\])*`)

// Named returns the references to something below one of the roots, such as params
// or tt.params, in their order. Unlike Find it returns those within a command of the
// shell too, $(curl $(params.url)), and those after another dollar, since neither
// keeps Pipelines or Triggers from replacing them: both replace the exact text. Of one
// that is not closed right after its name, Text and Inner end with the name.
func Named(text string, roots ...string) []Expression {
	var found []Expression
	for at := 0; ; {
		start := strings.Index(text[at:], "$(")
		if start < 0 {
			return found
		}
		start += at
		at = start + 2
		if !below(text[at:], roots) {
			continue
		}
		end := at + len(reference.FindString(text[at:]))
		e := Expression{Text: text[start:end], Inner: text[at:end], Start: start, End: end}
		if end < len(text) && text[end] == ')' {
			e.Text, e.End, e.Closed = text[start:end+1], end+1, true
		}
		found = append(found, e)
		at = end
	}
}

// below tells whether a text begins with one of the roots and what leads on from it.
func below(text string, roots []string) bool {
	for _, root := range roots {
		rest, is := strings.CutPrefix(text, root)
		if is && rest != "" && (rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

// Bound returns the expressions of a binding's value as Triggers v0.37.0 finds them
// (pkg/template/jsonpath.go, findTektonExpressions): each $( begins one, whatever
// stands before it, and it ends with the first parenthesis that was not opened in it,
// or with the next $(, where it is not closed.
func Bound(value string) []Expression {
	var found []Expression
	for at := strings.Index(value, "$("); at >= 0; {
		inner := value[at+2:]
		next := strings.Index(inner, "$(")
		if next >= 0 {
			inner = inner[:next]
		}
		end, closed := closing(inner, 0)
		e := Expression{Text: value[at : at+2+end], Inner: inner[:end], Start: at, End: at + 2 + end, Closed: closed}
		if closed {
			e.Inner = inner[:end-1]
		}
		found = append(found, e)
		if next < 0 {
			return found
		}
		at += 2 + next
	}
	return found
}
