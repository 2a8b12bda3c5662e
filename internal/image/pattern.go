package image

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Pattern matches images by host and path, for example "ghcr.io/tektoncd/**":
// "*" stands for anything within one path element, "**" for any number of them.
type Pattern struct{ expr *regexp.Regexp }

// CompilePattern checks a pattern.
func CompilePattern(pattern string) (Pattern, error) {
	if pattern != "**" && !strings.Contains(pattern, "/") {
		return Pattern{}, fmt.Errorf(
			"pattern %q can match no image: it has to cover host and path, such as %q",
			pattern,
			pattern+"/**",
		)
	}
	if strings.ContainsAny(pattern, "@ {}") || strings.Contains(pattern[strings.LastIndex(pattern, "/")+1:], ":") {
		return Pattern{}, fmt.Errorf(
			"pattern %q: a pattern covers host and path, without tag, digest or placeholders",
			pattern,
		)
	}
	expr := regexp.QuoteMeta(pattern)
	expr = strings.ReplaceAll(expr, `\*\*`, `.+`)
	expr = strings.ReplaceAll(expr, `\*`, `[^/]+`)
	compiled, err := regexp.Compile("^" + expr + "$")
	return Pattern{compiled}, err
}

// String returns the pattern as an anchored regular expression of RE2.
func (p Pattern) String() string { return p.expr.String() }

// Match tells whether an image matches, under the name that is written or the
// one under which it lives today, see Canonical.
func (p Pattern) Match(ref Reference) bool {
	return p.expr.MatchString(ref.Canonical().Repository()) || p.expr.MatchString(ref.Repository())
}

// MatchAny tells whether an image matches one of the patterns.
func MatchAny(patterns []Pattern, ref Reference) bool {
	return slices.ContainsFunc(patterns, func(p Pattern) bool { return p.Match(ref) })
}
