package rule

import (
	"errors"
	"fmt"
	"path"
	"slices"
)

// CheckPatterns reports those that are not patterns of names, as MatchesAny takes them.
func CheckPatterns(at string, list []string) error {
	var problems []error
	for i, pattern := range list {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			problems = append(problems,
				fmt.Errorf("%s[%d]: %q is not a pattern: write a name, with * for any characters", at, i, pattern))
		}
	}
	return errors.Join(problems...)
}

// MatchesAny tells whether one of the patterns, in which * stands for any characters
// but a slash, is the whole text.
func MatchesAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, _ := path.Match(pattern, text)
		return matched
	})
}
