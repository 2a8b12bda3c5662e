package validator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// TestOversizedParamDefault holds the bound where the configuration says none. No case
// does, since its file would hold the text.
func TestOversizedParamDefault(t *testing.T) {
	for size, want := range map[int]int{128<<10 - 1: 0, 128 << 10: 1} {
		s := subject(t, fmt.Appendf(nil,
			`{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"name":"x"},"spec":{"params":[{"name":"text","value":%q}]}}`,
			strings.Repeat("x", size)))
		found := 0
		for _, f := range (&validator.Validator{Config: validator.Default()}).Judge(t.Context(), s).Findings {
			if f.Rule == "oversized-param" {
				found++
			}
		}
		if found != want {
			t.Errorf("a text of %d bytes has %d findings", size, found)
		}
	}
}
