package kaniko

import (
	"slices"
	"strings"
)

// Setting is one flag among the arguments of Kaniko.
type Setting struct {
	Flag  *Flag  // nil for one that Tekgate does not know
	Name  string // as it is written, without its dashes
	Value string // "true" for a switch without a value
	At    int    // the position of its word
}

// On tells whether a switch is on.
func (s Setting) On() bool {
	return !slices.Contains([]string{"false", "False", "FALSE", "f", "F", "0"}, s.Value)
}

// Parse reads arguments as Kaniko reads them (spf13/pflag): --flag=value,
// --flag value, -f value, -fvalue; a switch takes no word after it. What is no flag
// is passed over.
func Parse(words []string) []Setting {
	var found []Setting
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			return found
		}
		if len(word) < 2 || word[0] != '-' {
			continue
		}
		spelling, value, joined := strings.Cut(word, "=")
		if !strings.HasPrefix(word, "--") && len(word) > 2 {
			spelling, value, joined = word[:2], strings.TrimPrefix(word[2:], "="), true
		}
		setting := Setting{Flag: find(spelling), Name: strings.TrimLeft(spelling, "-"), Value: value, At: i}
		switch {
		case joined:
		case setting.Flag != nil && setting.Flag.Switch:
			setting.Value = "true"
		case setting.Flag != nil && i+1 < len(words):
			i++
			setting.Value = words[i]
		}
		found = append(found, setting)
	}
	return found
}

func find(spelling string) *Flag {
	at := slices.IndexFunc(Flags, func(f Flag) bool {
		return spelling == "--"+f.Name || slices.Contains(f.Also, spelling)
	})
	if at < 0 {
		return nil
	}
	return &Flags[at]
}
