package rule

import (
	"errors"
	"fmt"
	"path"
	"slices"
)

// patterns reports those that are no patterns of names, as matchesAny takes them.
func Patterns(at string, list []string) error {
	var problems []error
	for i, pattern := range list {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			problems = append(problems, fmt.Errorf("%s[%d]: %q is not a pattern: write a name, with * for any characters", at, i, pattern))
		}
	}
	return errors.Join(problems...)
}

// matchesAny tells whether one of the patterns, in which * stands for any characters
// but a slash, is the whole text.
func MatchesAny(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matched, _ := path.Match(pattern, text)
		return matched
	})
}
