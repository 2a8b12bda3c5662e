package admit

import (
	"context"
	"fmt"
	"io"
	"time"
)

// An object in memory is many times its text: a field that holds an object takes some
// 400 bytes, be it written in eight, and what is nested takes a stack as deep. So how
// many values a review has and how deep they are is bounded beside its bytes, before
// anything is built. The bounds are far above what people write, and what etcd stores
// in 1.5 MiB hardly reaches them.
const (
	maxDepth  = 1000
	maxValues = 50_000
	// manyValues are those of an object that is judged alone: see Budget. Judging it takes
	// some 20 ms, a hundred times what a TaskRun takes. A PipelineRun of thirty tasks has
	// as many.
	manyValues = 2_000
	// manyBytes are those of a review that is read alone. A usual one has a twentieth of it.
	manyBytes = 128 << 10
)

// size says why a review is not judged that is as deep and has so many values.
func size(depth, values int) error {
	if depth > maxDepth {
		return fmt.Errorf(
			"an object in this review is nested deeper than %d levels, and Tekgate judges none such: write it flatter",
			maxDepth)
	}
	if values > maxValues {
		return fmt.Errorf(
			"the objects in this review hold %d values, and Tekgate judges up to %d: move large data into a ConfigMap or a workspace", values, maxValues)
	}
	return nil
}

// turn is the right to work on a large review. Reviews of many bytes or many values are
// read and judged one after another, so that they leave a processor to all others.
type turn struct {
	alone chan struct{} // nil without a Budget
	taken bool
}

func turnOf(body io.Reader) *turn {
	if paid, ok := body.(*metered); ok {
		return &turn{alone: paid.alone}
	}
	return &turn{}
}

// take waits for the turn, for up to half of the time that the sender waits. It returns
// false after that, while there is time to tell the sender.
func (t *turn) take(ctx context.Context) bool {
	if t.alone == nil || t.taken {
		return true
	}
	if end, limited := ctx.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/2)
		defer cancel()
	}
	select {
	case t.alone <- struct{}{}:
		t.taken = true
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *turn) end() {
	if t.taken {
		<-t.alone
	}
}
