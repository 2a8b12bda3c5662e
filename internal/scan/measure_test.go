package scan_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/scan"
)

// TestMeasure holds the figures of documents, and that they are never below what a
// Reader finds in them.
func TestMeasure(t *testing.T) {
	for _, tt := range []struct {
		text          string
		depth, values int
	}{
		{``, 0, 1}, {`1`, 0, 1}, {`[]`, 1, 2}, {`{"a":1,"b":[2,3]}`, 2, 5}, {`["[{,","\\\"[",[[]]]`, 3, 6}, {`"`, 0, 1},
		{`"\`, 0, 1},
		{strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 5000, 5001},
	} {
		depth, values := scan.Measure([]byte(tt.text))
		if depth != tt.depth || values != tt.values {
			t.Errorf("%.40s: got %d deep, %d values, want %d, %d", tt.text, depth, values, tt.depth, tt.values)
		}
		r := scan.New([]byte(tt.text))
		if r.Skip() == nil && r.Skipped() > values {
			t.Errorf("%.40s: %d values are skipped, and %d measured", tt.text, r.Skipped(), values)
		}
	}
}

// TestLimitDepth holds where a Reader stops, and that it says why.
func TestLimitDepth(t *testing.T) {
	for depth, want := range map[int]bool{3: true, 4: false} {
		r := scan.New([]byte(strings.Repeat(`{"a":[`, depth/2) + strings.Repeat("[", depth%2) +
			strings.Repeat("]", depth%2) + strings.Repeat("]}", depth/2)))
		r.LimitDepth(3)
		if got := r.Skip() == nil; got != want || r.TooDeep() == want {
			t.Errorf("%d deep: taken is %v, too deep is %v", depth, got, r.TooDeep())
		}
	}
}
