package warnings_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tekgate/tekgate/internal/warnings"
)

func TestFit(t *testing.T) {
	rest := func(n int) string { return fmt.Sprintf("%d more", n) }
	a, b, c := strings.Repeat("a", 40), strings.Repeat("ä", 40), strings.Repeat("c", 40)
	for _, tt := range []struct {
		name  string
		all   []string
		share int
		more  int
		want  []string
	}{
		{"none", nil, 100, 0, nil},
		{"all fit", []string{a, b}, 80, 0, []string{a, b}},
		{"the same twice", []string{a, b, a}, 80, 0, []string{a, b}},
		{"too many", []string{a, b, c}, 100, 0, []string{a, b, "1 more"}},
		{"no room for the last", []string{a, b, c}, 119, 0, []string{a, b, "1 more"}},
		{"more before", []string{a}, 100, 7, []string{a, "7 more"}},
		{"the first is too long", []string{strings.Repeat("x", 90), a}, 80, 0, []string{"2 more"}},
		{"one long", []string{strings.Repeat("ä", 1200)}, 2000, 0, []string{strings.Repeat("ä", 999) + "…"}},
	} {
		got := warnings.Fit(tt.all, tt.share, tt.more, rest)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
		if n := utf8.RuneCountInString(strings.Join(got, "")); n > tt.share {
			t.Errorf("%s: %d characters, at most %d", tt.name, n, tt.share)
		}
	}
}
