// Package warnings makes the warnings of an admission answer arrive.
//
// The API server hands on at most 4096 characters of warnings for one request, from all webhooks
// together and its own. Once they are more, it cuts each to 256 and drops what is still too much, without
// a word (k8s.io/apiserver, pkg/endpoints/filters/warning.go). So each of Tekgate's answers stays
// within a share of that, with whole sentences, and its last warning says what was left out.
package warnings

import (
	"slices"
	"unicode/utf8"
)

// The shares of the two webhooks, in characters. What is left is for Tekton and the API server.
const (
	Mutating   = 1500
	Validating = 2200
)

// longest is how much of a share one warning may take.
const longest = 1000

// Fit returns the warnings that fit into a share, in their order, each as often as it differs. If some do not
// fit, or more were left out before, the last one is what rest returns for their number.
func Fit(all []string, share, more int, rest func(n int) string) []string {
	var distinct []string
	for _, one := range all {
		if one = cut(one); !slices.Contains(distinct, one) {
			distinct = append(distinct, one)
		}
	}
	if more == 0 && count(distinct) <= share {
		return distinct
	}
	left := share - utf8.RuneCountInString(rest(len(distinct)+more))
	var fitting []string
	for i, one := range distinct {
		if left -= utf8.RuneCountInString(one); left < 0 {
			more += len(distinct) - i
			break
		}
		fitting = append(fitting, one)
	}
	return append(fitting, rest(more))
}

func count(all []string) (n int) {
	for _, one := range all {
		n += utf8.RuneCountInString(one)
	}
	return n
}

// cut shortens a warning that would leave no room for others.
func cut(one string) string {
	if len(one) <= longest || utf8.RuneCountInString(one) <= longest {
		return one
	}
	return string([]rune(one)[:longest-1]) + "…"
}
