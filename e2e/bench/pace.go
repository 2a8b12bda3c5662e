package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// pace sends so many requests a second until ctx ends, and then waits for those that are
// under way. No more than width are under way at once: where answers are slower than
// that, fewer are sent, and none is lost.
func pace(ctx context.Context, rate float64, width int, send func(context.Context) (time.Duration, error)) sample {
	var next atomic.Int64
	began := time.Now()
	parts := make([]sample, width)
	var working sync.WaitGroup
	for i := range parts {
		working.Go(func() {
			for {
				due := began.Add(time.Duration(float64(next.Add(1)-1) / rate * float64(time.Second)))
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(due)):
				}
				if ctx.Err() != nil {
					return
				}
				took, err := send(context.WithoutCancel(ctx))
				if err != nil {
					parts[i].failed = append(parts[i].failed, err)
					continue
				}
				parts[i].took = append(parts[i].took, took)
			}
		})
	}
	working.Wait()
	var all sample
	for _, part := range parts {
		all.add(part)
	}
	return all
}
