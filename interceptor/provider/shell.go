package provider

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// alphabet is what a value may consist of, so that every shell takes it for one word that
// means itself, wherever a script has it: alone, after a flag, in an assignment or in quotes.
type alphabet struct {
	first, rest [utf8.RuneSelf]bool // ASCII characters
	letters     bool                // letters, marks and digits of every script too
	never       []string            // characters that mean something together
	longest     int
}

const letterOrDigit = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func newAlphabet(longest int, first, others string, never ...string) *alphabet {
	a := &alphabet{longest: longest, never: never}
	for _, c := range first {
		a.first[c] = true
	}
	for _, c := range first + others {
		a.rest[c] = true
	}
	return a
}

// The alphabets. A tilde is a home folder at the start of a word, and after = or : where a
// word looks like an assignment; a number sign starts a comment; braces, brackets and
// parentheses are patterns; a dash or a plus sign starts an option.
var (
	names  = withLetters(newAlphabet(255, letterOrDigit+"_.@", "-/+#=,%~", "..", "=~"))
	urls   = newAlphabet(1024, letterOrDigit+"_", "-./+@#=,%~:", "=~", ":~")
	hashes = newAlphabet(64, "0123456789abcdef", "")
	words  = newAlphabet(64, letterOrDigit, "_.:-")
	ids    = newAlphabet(128, letterOrDigit, "_.:-")
	refs   = newAlphabet(600, letterOrDigit, "-_./") // a Secret's name, a slash and a key
)

func withLetters(a *alphabet) *alphabet {
	a.letters = true
	return a
}

// twoDots is part of the refusal of a name.
const twoDots = "holds two dots, which lead out of a folder"

// flaw returns what is wrong with a value, or "". An empty one is fine.
func (a *alphabet) flaw(value string) string {
	if len(value) > a.longest {
		return "is longer than " + strconv.Itoa(a.longest) + " bytes"
	}
	if value == "" {
		return ""
	}
	if c := value[0]; c < utf8.RuneSelf && !a.first[c] {
		return firstFlaw(c, a.rest[c])
	}
	for i := range len(value) {
		if c := value[i]; c >= utf8.RuneSelf {
			return a.letterFlaw(value, i)
		} else if !a.rest[c] {
			return "holds " + strconv.QuoteRune(rune(c))
		}
	}
	return a.togetherFlaw(value)
}

func firstFlaw(c byte, elsewhere bool) string {
	switch {
	case c == '-':
		return "begins with a dash, as options do"
	case elsewhere:
		return "begins with " + strconv.QuoteRune(rune(c)) + ", which means something to a shell there"
	}
	return "holds " + strconv.QuoteRune(rune(c))
}

// letterFlaw is for a value whose first character that is not ASCII is at i.
func (a *alphabet) letterFlaw(value string, i int) string {
	for _, c := range value[i:] {
		if c < utf8.RuneSelf && a.rest[c] ||
			c >= utf8.RuneSelf && a.letters && c != utf8.RuneError && unicode.In(c, unicode.L, unicode.M, unicode.N) {
			continue
		}
		return "holds " + strconv.QuoteRuneToASCII(c)
	}
	return a.togetherFlaw(value)
}

func (a *alphabet) togetherFlaw(value string) string {
	for _, pair := range a.never {
		if !strings.Contains(value, pair) {
			continue
		}
		if pair == ".." {
			return twoDots
		}
		return "holds " + strconv.Quote(pair) + ", which means something to a shell"
	}
	return ""
}

// The remedies for a value that a script must not see. A field without one is left out.
const (
	rename    = ": rename it, since scripts would run such a name"
	forgeOnly = ": only the forge may send events"
)

// exported is a text that leaves in extensions.
type exported struct {
	what   string
	of     func(*Git) *string
	within *alphabet
	remedy string
}

// exports are all texts that leave in extensions; changed files are names too.
var exports = []exported{
	{"provider", func(g *Git) *string { return &g.Provider }, words, ""},
	{"event", func(g *Git) *string { return &g.Event }, words, forgeOnly},
	{"ref", func(g *Git) *string { return &g.Ref }, names, rename},
	{"ref's type", func(g *Git) *string { return &g.RefType }, words, ""},
	{"repository", func(g *Git) *string { return &g.Repository }, names, rename},
	{"default branch", func(g *Git) *string { return &g.DefaultBranch }, names, rename},
	{"source branch", func(g *Git) *string { return &g.SourceBranch }, names, rename},
	{"target branch", func(g *Git) *string { return &g.TargetBranch }, names, rename},
	{"branch", func(g *Git) *string { return &g.Branch }, names, rename},
	{"tag", func(g *Git) *string { return &g.Tag }, names, rename},
	{"commit", func(g *Git) *string { return &g.SHA }, hashes, forgeOnly},
	{"commit before", func(g *Git) *string { return &g.Before }, hashes, forgeOnly},
	{"clone URL", func(g *Git) *string { return &g.CloneURL }, urls, forgeOnly},
	{"SSH URL", func(g *Git) *string { return &g.SSHURL }, urls, forgeOnly},
	{"sender", func(g *Git) *string { return &g.Sender }, names, ""},
	{"action", func(g *Git) *string { return &g.Action }, words, ""},
	{"id", func(g *Git) *string { return &g.DeliveryID }, ids, ""},
	{"force", func(g *Git) *string { return (*string)(&g.Forced) }, words, ""},
	{"merge", func(g *Git) *string { return (*string)(&g.Merged) }, words, ""},
	{"draft", func(g *Git) *string { return (*string)(&g.Draft) }, words, ""},
	{"fork", func(g *Git) *string { return (*string)(&g.FromFork) }, words, ""},
	{"strength", func(g *Git) *string { return (*string)(&g.Verified) }, words, ""},
	{"Secret", func(g *Git) *string { return &g.VerifiedBy }, refs, ""},
}

// check refuses a delivery that names what a script must not see, and empties what nobody
// builds by.
func (g *Git) check() error {
	if account, bot := strings.CutSuffix(g.Sender, "[bot]"); bot { // brackets are a pattern
		g.Sender = account + "+bot"
	}
	for i := range exports {
		e := &exports[i]
		value := e.of(g)
		why := e.within.flaw(*value)
		switch {
		case why == "":
		case e.remedy == "":
			*value = ""
		case e.within == hashes:
			return unusable(e.what, *value, "is not hexadecimal"+e.remedy)
		default:
			return unusable(e.what, *value, why+e.remedy)
		}
	}
	for _, u := range []struct{ what, value string }{{"clone URL", g.CloneURL}, {"SSH URL", g.SSHURL}} {
		if why := urlFlaw(u.value); why != "" {
			return unusable(u.what, u.value, why+forgeOnly)
		}
	}
	return nil
}

// fitFiles returns the names of files that a script may see.
func fitFiles(files []string) []string {
	unfit := func(name string) bool { return names.flaw(name) != "" }
	if !slices.ContainsFunc(files, unfit) {
		return files
	}
	return slices.DeleteFunc(slices.Clone(files), unfit)
}
