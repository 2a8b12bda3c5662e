package expressions

import (
	"math"
	"strings"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// tokenForm is the form of a credential that says by itself what it is.
type tokenForm struct {
	Name    string
	Hint    string // stands in each, and in little else
	Pattern *lazyregexp.Regexp
}

// tokenForms are as their issuers document them. The ids of access keys are none: they
// are no secret, and the secret that belongs to them has no form.
var tokenForms = []tokenForm{
	{"a GitHub token", "gh", lazyregexp.New(`gh[pousr]_[A-Za-z0-9]{36,}`)},
	{"a GitHub token", "github_pat_", lazyregexp.New(`github_pat_[A-Za-z0-9_]{22,}`)},
	{"a GitLab token", "gl", lazyregexp.New(`gl(?:pat|dt|rt|ptt|cbt|agent)-[A-Za-z0-9_-]{20,}`)},
	{"a Slack token", "xox", lazyregexp.New(`xox[abeprs]-[A-Za-z0-9-]{20,}`)},
	{"a Google API key", "AIza", lazyregexp.New(`AIza[A-Za-z0-9_-]{35}`)},
	{"an npm token", "npm_", lazyregexp.New(`npm_[A-Za-z0-9]{36}`)},
	{"a PyPI token", "pypi-AgEI", lazyregexp.New(`pypi-AgEI[A-Za-z0-9_-]{50,}`)},
	{"a Docker Hub token", "dckr_", lazyregexp.New(`dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}`)},
	{"a Vault token", "hv", lazyregexp.New(`hv[sbr]\.[A-Za-z0-9_-]{24,}`)},
	{"a Stripe key", "k_live_", lazyregexp.New(`[rs]k_live_[A-Za-z0-9]{24,}`)},
	{"a JSON Web Token", ".eyJ",
		lazyregexp.New(`eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`)},
	{"a private key", "PRIVATE KEY-----",
		lazyregexp.New(`-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=]{8,}`)},
	{"a URL with a password", "@", lazyregexp.New(`[a-z]://[^/\s:@$()]+:[^/\s:@$()<>{}*]{6,}@`)},
}

// tokenPlaceholder matches what people write for a credential in examples.
var tokenPlaceholder = lazyregexp.New(`(?i)example|placeholder|change.?me|your[-_]|dummy|redacted|:(?:my)?(?:pass|passwd|password|secret|token)@`)

// tokenIn returns what kind of credential stands in a text, "" where none does. One
// that is written as an example passes: there is too little variety in it.
func tokenIn(text string) string {
	const shortest = 14 // of what any form can be
	if len(text) < shortest {
		return ""
	}
	for _, form := range tokenForms {
		if !strings.Contains(text, form.Hint) {
			continue
		}
		for _, token := range form.Pattern.FindAllString(text, -1) {
			if entropy(token) >= 3 && !tokenPlaceholder.MatchString(token) {
				return form.Name
			}
		}
	}
	return ""
}

// entropy is that of the characters of a text, in bits for each.
func entropy(text string) float64 {
	counts, sum := map[rune]int{}, 0.0
	total := 0
	for _, c := range text {
		counts[c]++
		total++
	}
	for _, n := range counts {
		share := float64(n) / float64(total)
		sum -= share * math.Log2(share)
	}
	return sum
}

var (
	// secretKey matches the names of what holds a secret itself, not those of what
	// says where one is, such as TOKEN_FILE or secretName.
	secretKey = lazyregexp.New(`(?i)(?:passw(?:or)?d|passphrase|pwd|token|secret|(?:api|access|private|secret|signing)[-_]?key|credentials?)$`)
	// nameLike matches what names a thing: a Secret, a key in it, a file, a variable.
	nameLike = lazyregexp.New(`^(?:[a-z]+(?:[-._][a-z0-9]+)*|[A-Z]+(?:_[A-Z0-9]+)*|[./~].*|<.*>|\*+)$`)
	// comparedSecret matches a secret that CEL compares something with.
	comparedSecret = lazyregexp.New(`(?i)(?:token|secret|passw(?:or)?d|signature)['"]?\s*[)\]]*\s*==\s*(?:'([^'\n]*)'|"([^"\n]*)")`)
)

// looksSecret tells whether a value is written out, and is one that somebody might
// have had a machine make up.
func looksSecret(value string) bool {
	const shortest, least = 8, 2.5
	return len(value) >= shortest && entropy(value) >= least && !nameLike.MatchString(value) &&
		!strings.ContainsAny(value, "$ \t\n{") && !strings.Contains(value, "://")
}
