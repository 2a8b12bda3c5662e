// Package suggest finds the known name that a misspelt one most likely meant.
package suggest

import (
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
)

// alike is the similarity, from 0 to 1, from which a known name is suggested.
const alike = 0.6

// Closest returns the known name that is most similar to word, or "" if none is similar.
// The comparison ignores case.
func Closest(word string, known []string) string {
	best, score := "", alike
	for _, k := range known {
		if s := levenshtein.Similarity(strings.ToLower(word), strings.ToLower(k), nil); s >= score {
			best, score = k, s
		}
	}
	return best
}

// DidYouMean returns the question `did you mean "x"?` for the closest known name, or
// otherwise if none is similar.
func DidYouMean(word string, known []string, otherwise string) string {
	if best := Closest(word, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return otherwise
}
