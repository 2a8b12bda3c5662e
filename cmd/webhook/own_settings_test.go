package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/mutator"
)

// TestOwnSettings holds how Namespaces share the room for their settings.
func TestOwnSettings(t *testing.T) {
	const text = "serviceAccount: {name: own-%d}"
	cost, err := mutator.OverlayCost(fmt.Sprintf(text, 0))
	if err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	s := newOwnSettings(server.Log(&logs))
	s.most = 3 * cost
	expect := func(namespace, want, reason string) {
		t.Helper()
		got, why := s.of(t.Context(), nil, namespace)
		if got != want || (reason == "") != (why == "") || !strings.Contains(why, reason) {
			t.Errorf("%s has %q, %q; want %q, %q", namespace, got, why, want, reason)
		}
	}
	for n := range 4 {
		s.hold(fmt.Sprint("team-", n), fmt.Sprintf(text, n))
	}
	for n := range 3 {
		expect(fmt.Sprint("team-", n), fmt.Sprintf(text, n), "")
	}
	expect("team-3", "", "there is no room")
	s.hold("same", fmt.Sprintf(text, 0))
	expect("same", fmt.Sprintf(text, 0), "")
	if !strings.Contains(logs.String(), `"team-3"`) || strings.Contains(logs.String(), `"team-2"`) {
		t.Errorf("the log is %s", logs.String())
	}
	s.hold("large", strings.Repeat("x", 1<<20))
	expect("large", "", "more than 65536 bytes")

	s.hold("team-1", "")
	s.hold("large", fmt.Sprintf(text, 5))
	expect("large", fmt.Sprintf(text, 5), "")
	for _, gone := range []string{"team-0", "same", "team-2", "large", "team-3"} {
		s.hold(gone, "")
	}
	if s.total != 0 || len(s.held)+len(s.texts) != 0 {
		t.Errorf("%d bytes, %v and %v are left", s.total, s.held, s.texts)
	}
}
