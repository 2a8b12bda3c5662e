package display_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/display"
)

func TestJSON(t *testing.T) {
	var out strings.Builder
	if err := display.JSON(&out, map[string]string{"a": "<&>"}); err != nil ||
		out.String() != "{\n  \"a\": \"<&>\"\n}\n" {
		t.Errorf("got %q, %v", &out, err)
	}
}

func TestAndMore(t *testing.T) {
	items := []string{"a", "b", "c"}
	for most, want := range map[int]string{1: "a and 2 more", 2: "a, b and 1 more", 3: "a, b, c", 4: "a, b, c"} {
		if got := display.AndMore(items, most); got != want {
			t.Errorf("AndMore(%d) = %q, want %q", most, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	if got := display.Printable("a\x1b[31m\n\x7f\u009b\u202eé\u00a0", '?'); got != "a?[31m????é\u00a0" {
		t.Errorf("got %q", got)
	}
}
