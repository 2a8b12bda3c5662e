package interceptor

import (
	"fmt"
	"testing"
	"time"
)

// TestMismatchesAreBounded: made-up names take no more memory, and do not push out the
// Secret that is really tried.
func TestMismatchesAreBounded(t *testing.T) {
	m := &mismatches{secrets: map[triedSecret]*misses{}}
	tried := triedSecrets{{"ci", SecretKey{"hook", "token"}}}
	now := time.Now()
	for range freeMisses + 4 {
		m.note(tried, now)
	}
	for i := range 3 * maxMissed {
		m.note(triedSecrets{{"ci", SecretKey{fmt.Sprintf("made-up-%d", i), "token"}}}, now)
	}
	if len(m.secrets) > maxMissed {
		t.Errorf("%d Secrets are counted, more than %d", len(m.secrets), maxMissed)
	}
	if delay := m.note(tried, now); delay != mostDelay {
		t.Errorf("the delay of the Secret that was tried fell to %s", delay)
	}
}
