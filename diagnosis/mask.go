package diagnosis

import (
	"strings"

	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// masks are the forms in which programs print credentials, each with what takes its place.
var masks = []struct {
	find *lazyregexp.Regexp
	put  string
}{
	{lazyregexp.New(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"']+@`), "${1}***@"},
	{lazyregexp.New(`((?:^|\s)(?:-u|--user|--proxy-user|--(?:src-|dest-)?creds)(?:\s+|=)["']?[^\s:"']*:)[^\s"']+`), "${1}***"},
	{lazyregexp.New(`(\slogin\s(?:.*?\s)?-p(?:\s+|=)?)("[^"]*"|'[^']*'|[^\s-]\S*)`), "${1}***"},
	{lazyregexp.New(`(?i)((?:^|\s)--?[a-z-]*(?:password|passwd|token|secret|api-?key)\s+)("[^"]*"|'[^']*'|[^\s-]\S{3,})`),
		"${1}***"},
	{lazyregexp.New(`(?i)\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:basic|bearer|token|digest)\s+)[^\s"',]+`),
		"${1}***"},
	{lazyregexp.New(`(?i)\b((?:proxy-)?authorization["']\s*:\s*["'])[^"']+`), "${1}***"},
	{lazyregexp.New(`(?i)\b((?:proxy-)?authorization\s*[:=]\s*)[A-Za-z0-9+/_=.~-]{16,}`), "${1}***"},
	{lazyregexp.New(`(?i)\b(basic|bearer)\s+[A-Za-z0-9+/_=.~-]{8,}`), "${1} ***"},
	{lazyregexp.New(`(?i)\b((?:x-[a-z-]*token|private-token|set-cookie|cookie)["']?\s*[:=]\s*["']?)[^\s"',]+`),
		"${1}***"},
	{lazyregexp.New(`(?i)([?&](?:[a-z_-]*token|[a-z_-]*secret|password|passwd|[a-z-]*signature|sig|key|code)=)[^&\s"']+`),
		"${1}***"},
	{lazyregexp.New(`(?i)(\b[a-z0-9_-]*(?:password|passwd|secret|token|api[_-]?key)\s*=\s*)` +
		`("[^"]*"|'[^']*'|[^\s"',&;)]+)`), "${1}***"},
	{lazyregexp.New(`(?i)(\b(?:[a-z0-9_-]*[_-])?(?:(?:secret|access|private|account|encryption|signing)[_-]?(?:access[_-]?)?key` +
		`|pass|passphrase|_auth)\s*[=:]\s*)("[^"]*"|'[^']*'|[A-Za-z0-9+/=_.~-]{6,})`), "${1}***"},
	{lazyregexp.New(`(?i)(\\?["'](?:[a-z0-9_.-]*(?:password|passwd|secret|token|auth|api[_-]?key|dockerconfigjson|dockercfg)` +
		`|(?:[a-z0-9]*[_-]?)(?:secret|access|private)[_-]?(?:access[_-]?)?key)\\?["']\s*:\s*)` +
		`(\\"(?:[^"\\]|\\\\.)*\\"|"(?:[^"\\]|\\.)*"|'[^']*')`), "${1}***"},
	{lazyregexp.New(`(?i)(\b[a-z0-9_-]*(?:password|passwd)\s*:\s+)("[^"]*"|'[^']*'|[^\s"',&;)]+)`), "${1}***"},
	{lazyregexp.New(`(?i)(\b(?:token|secret|api[_-]?key)\s*:\s*)[A-Za-z0-9+/_=.-]{16,}`),
		"${1}***"},
	{lazyregexp.New(`\b(?:gh[pousr]_|github_pat_|gl(?:pat|rt|dt|cbt|ptt|soat)-|xox[abeprs]-|dckr_[a-z]{3}_|pypi-AgE|ATATT|ATBB|` +
		`ya29\.|AIza|sha256~)[A-Za-z0-9_-]{10,}`), "***"},
	{lazyregexp.New(`\b(?:npm_[A-Za-z0-9]{16,}|hvs\.[A-Za-z0-9_-]{16,})`), "***"},
	{lazyregexp.New(`(?i)(\baws_secret_access_key\s+)[^\s"']+`), "${1}***"},
	{lazyregexp.New(`(\becho\s+(?:-n\s+)?)[^|]+?(\s*\|[^|]*--password-stdin)`), "${1}***${2}"},
	{lazyregexp.New(`(://hooks\.slack\.com/services/)[^\s"']+`), "${1}***"},
	{lazyregexp.New(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`), "***"},
	{lazyregexp.New(`\beyJhdXRocyI6[A-Za-z0-9+/=_-]*`), "***"}, // a Docker configuration in base64
	{lazyregexp.New(`\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*`), "***"},
	{lazyregexp.New(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`), "***"},
}

// plain finds words of messages where a credential would be.
var plain = lazyregexp.New(`(?i)^(?:basic|bearer)\s+(?:authentication|authorization|credentials?|constraints?)\.?$|` +
	`^password:\s+(?:unauthorized|authentication|access|incorrect|denied):?$`)

// Mask replaces credentials in a text of a cluster: those in URLs, headers, assignments and
// the known forms of tokens. Texts are shown to people and end up in tickets.
func Mask(text string) string {
	for _, m := range masks {
		text = m.find.ReplaceAllStringFunc(text, func(found string) string {
			if plain.MatchString(found) {
				return found
			}
			return m.find.ReplaceAllString(found, m.put)
		})
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
