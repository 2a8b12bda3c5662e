package validator

import (
	"math"
	"regexp"
	"strings"
)

// tokenForm is the form of a credential that says by itself what it is.
type tokenForm struct {
	Name    string
	Pattern string
}

// tokenForms are as their issuers document them. The ids of access keys are none: they
// are no secret, and the secret that belongs to them has no form.
var tokenForms = []tokenForm{
	{"a GitHub token", `gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}`},
	{"a GitLab token", `gl(?:pat|dt|rt|ptt|cbt|agent)-[A-Za-z0-9_-]{20,}`},
	{"a Slack token", `xox[abeprs]-[A-Za-z0-9-]{20,}`},
	{"a Google API key", `AIza[A-Za-z0-9_-]{35}`},
	{"an npm token", `npm_[A-Za-z0-9]{36}`},
	{"a PyPI token", `pypi-AgEI[A-Za-z0-9_-]{50,}`},
	{"a Docker Hub token", `dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}`},
	{"a Vault token", `hv[sbr]\.[A-Za-z0-9_-]{24,}`},
	{"a Stripe key", `[rs]k_live_[A-Za-z0-9]{24,}`},
	{"a JSON Web Token", `eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`},
	{"a private key", `-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=]{8,}`},
	{"a URL with a password", `[a-z]://[^/\s:@$()]+:[^/\s:@$()<>{}*]{6,}@`},
}

// anyToken matches all of them, each as a group of its own.
var anyToken = func() *regexp.Regexp {
	var groups []string
	for _, form := range tokenForms {
		groups = append(groups, "("+form.Pattern+")")
	}
	return regexp.MustCompile(strings.Join(groups, "|"))
}()

// tokenPlaceholder matches what people write for a credential in examples.
var tokenPlaceholder = regexp.MustCompile(`(?i)example|placeholder|change.?me|your[-_]|dummy|redacted|:(?:my)?(?:pass|passwd|password|secret|token)@`)

// tokenIn returns what kind of credential stands in a text, "" where none does. One
// that is written as an example passes: there is too little variety in it.
func tokenIn(text string) string {
	const shortest = 14 // of what any form can be
	if len(text) < shortest {
		return ""
	}
	for _, match := range anyToken.FindAllStringSubmatchIndex(text, -1) {
		for form := range tokenForms {
			start, end := match[2+2*form], match[3+2*form]
			if start >= 0 && entropy(text[start:end]) >= 3 && !tokenPlaceholder.MatchString(text[start:end]) {
				return tokenForms[form].Name
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
	secretKey = regexp.MustCompile(`(?i)(?:passw(?:or)?d|passphrase|pwd|token|secret|(?:api|access|private|secret|signing)[-_]?key|credentials?)$`)
	// nameLike matches what names a thing: a Secret, a key in it, a file, a variable.
	nameLike = regexp.MustCompile(`^(?:[a-z]+(?:[-._][a-z0-9]+)*|[A-Z]+(?:_[A-Z0-9]+)*|[./~].*|<.*>|\*+)$`)
	// comparedSecret matches a secret that CEL compares something with.
	comparedSecret = regexp.MustCompile(`(?i)(?:token|secret|passw(?:or)?d|signature)['"]?\s*[)\]]*\s*==\s*(?:'([^'\n]*)'|"([^"\n]*)")`)
)

// looksSecret tells whether a value is written out, and is one that somebody might
// have had a machine make up.
func looksSecret(value string) bool {
	const shortest, least = 8, 2.5
	return len(value) >= shortest && entropy(value) >= least && !nameLike.MatchString(value) &&
		!strings.ContainsAny(value, "$ \t\n{") && !strings.Contains(value, "://")
}
