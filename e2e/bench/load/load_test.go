package load

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Candidates take turns there and back, and each gets its own requests.
func TestInTurn(t *testing.T) {
	var order []string
	send := func(_ context.Context, candidate string) (time.Duration, error) {
		order = append(order, candidate)
		if candidate == "b" {
			return 0, errors.New("no")
		}
		return time.Millisecond, nil
	}
	seen := InTurn(t.Context(), []string{"a", "b", "c"}, 2, 1, 2, send)
	if got := strings.Join(order, ""); got != "ccbbaaaabbcc" {
		t.Errorf("the order is %s", got)
	}
	a, b := seen["a"], seen["b"]
	if len(a.Took) != 4 || a.Err("a") != nil || len(b.Failed) != 4 || b.Err("b") == nil {
		t.Errorf("a has %+v, b %+v", a, b)
	}
}

func TestQuantile(t *testing.T) {
	s := Sample{}
	for i := range 100 {
		s.Took = append(s.Took, time.Duration(100-i)*time.Millisecond)
	}
	median, p99, most := s.Median(), s.P99(), s.Quantile(1)
	if median != 51 || p99 != 100 || most != 100*time.Millisecond {
		t.Errorf("median %v, p99 %v, most %v", median, p99, most)
	}
	if none := (&Sample{}).Median(); none != 0 {
		t.Errorf("no requests took %v", none)
	}
}

// Slow answers slow down the pace, and no request that was sent is lost.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(width int, slow time.Duration) Sample {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			return Pace(ctx, 100, width, func(ctx context.Context) (time.Duration, error) {
				time.Sleep(slow)
				return slow, ctx.Err()
			})
		}
		if s := run(8, 20*time.Millisecond); math.Abs(float64(len(s.Took))-1000) > 10 || len(s.Failed) > 0 {
			t.Errorf("at 100 a second, %d were answered in 10 s, and %d failed", len(s.Took), len(s.Failed))
		}
		if s := run(2, time.Second); math.Abs(float64(len(s.Took))-20) > 2 || len(s.Failed) > 0 {
			t.Errorf("two at a time, %d slow ones were answered in 10 s, and %d failed", len(s.Took), len(s.Failed))
		}
	})
}
