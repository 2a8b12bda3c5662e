package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekgate/tekgate/internal/server"
)

// TestBackoff holds that the delay doubles up to a limit, and starts again after a while.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b server.Backoff
		if b.Remaining() > 0 {
			t.Errorf("the first write waits for %s", b.Remaining())
		}
		for _, want := range []time.Duration{
			250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
			8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second,
		} {
			b.Wrote()
			if got := b.Remaining(); got != want {
				t.Errorf("the next write waits for %s, want %s", got, want)
			}
			time.Sleep(b.Remaining())
		}
		time.Sleep(2 * time.Minute)
		b.Wrote()
		if got := b.Remaining(); got != 250*time.Millisecond {
			t.Errorf("after a pause the next write waits for %s", got)
		}
	})
}

// TestSleep ends a wait by time, by a notification and by the end of its context.
func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		wake := server.NewNotifier()
		sleep := func(want bool, took time.Duration) {
			t.Helper()
			began := time.Now()
			if got := server.Sleep(ctx, time.Hour, wake); got != want || time.Since(began) != took {
				t.Errorf("got %v after %s, want %v after %s", got, time.Since(began), want, took)
			}
		}
		sleep(true, time.Hour)
		wake.Notify()
		wake.Notify()
		sleep(true, 0)
		sleep(true, time.Hour) // the two were merged
		time.AfterFunc(time.Minute, cancel)
		sleep(false, time.Minute)
	})
}
