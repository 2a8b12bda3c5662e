package certs_test

import (
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/certs"
)

// TestReminder counts how often a CA's end is told of by somebody who asks every
// minute.
func TestReminder(t *testing.T) {
	const day = 24 * time.Hour
	expiry := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	count := func(from, to time.Duration) (told int) {
		var r certs.Reminder
		for left := from; left > to; left -= time.Minute {
			if r.Due(expiry, expiry.Add(-left)) {
				told++
			}
		}
		return told
	}
	for _, tt := range []struct {
		from, to time.Duration
		want     int
	}{
		{3650 * day, 31 * day, 0},
		{30 * day, 29 * day, 1},
		{31 * day, 27 * day, 3},
		{7 * day, 6 * day, 24},
		{0, -time.Hour, 1}, // it has expired
	} {
		if got := count(tt.from, tt.to); got != tt.want {
			t.Errorf("from %s to %s before the end it is told of %d times, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}
