package diagnosis

import (
	"regexp"
	"strings"

	"github.com/tekgate/tekgate/internal/display"
)

// masks are the forms in which programs print credentials, each with what takes its place.
var masks = []struct {
	find *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@"']+@`), "${1}***@"},
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:basic|bearer|token|digest)\s+)[^\s"',]+`),
		"${1}***"},
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization["']\s*:\s*["'])[^"']+`), "${1}***"},
	{regexp.MustCompile(`(?i)\b((?:proxy-)?authorization\s*[:=]\s*)[A-Za-z0-9+/_=.~-]{16,}`), "${1}***"},
	{regexp.MustCompile(`(?i)\b(basic|bearer)\s+[A-Za-z0-9+/_=.~-]{8,}`), "${1} ***"},
	{regexp.MustCompile(`(?i)\b((?:x-[a-z-]*token|private-token|set-cookie|cookie)["']?\s*[:=]\s*["']?)[^\s"',]+`),
		"${1}***"},
	{regexp.MustCompile(`(?i)([?&](?:[a-z_-]*token|[a-z_-]*secret|password|passwd|signature|sig|key|code)=)[^&\s"']+`),
		"${1}***"},
	{regexp.MustCompile(`(?i)(\b[a-z0-9_-]*(?:password|passwd|secret|token|api[_-]?key)\s*=\s*)` +
		`("[^"]*"|'[^']*'|[^\s"',&;)]+)`), "${1}***"},
	{regexp.MustCompile(`(?i)(["'][a-z0-9_-]*(?:password|passwd|secret|token|auth|api[_-]?key)["']\s*:\s*)` +
		`("[^"]*"|'[^']*')`), "${1}***"},
	{regexp.MustCompile(`(?i)(\b[a-z0-9_-]*(?:password|passwd)\s*:\s+)("[^"]*"|'[^']*'|[^\s"',&;)]+)`), "${1}***"},
	{regexp.MustCompile(`(?i)(\b(?:token|secret|api[_-]?key)\s*:\s*)[A-Za-z0-9+/_=.-]{16,}`),
		"${1}***"},
	{regexp.MustCompile(`\b(?:gh[pousr]_|github_pat_|glpat-|xox[bp]-)[A-Za-z0-9_-]{10,}`), "***"},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*`), "***"},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "***"},
}

// Mask replaces credentials in a text of a cluster: those in URLs, headers, assignments and
// the known forms of tokens. Texts are shown to people and end up in tickets.
func Mask(text string) string {
	for _, m := range masks {
		text = m.find.ReplaceAllString(text, m.put)
	}
	return text
}

// longest is what is kept of a sentence, in bytes.
const longest = 1200

// clean returns a text as it can be shown on one line: masked, without control characters,
// with single spaces, and not too long.
func clean(text string) string {
	text = strings.Join(strings.Fields(Mask(text)), " ")
	text = display.Printable(text, '�')
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
