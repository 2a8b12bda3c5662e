package main

import (
	"testing"
	"time"
)

// TestAttack holds that the attacks reach a server from their own process, and that it
// answers others meanwhile.
func TestAttack(t *testing.T) {
	b, err := newBed(options{rounds: 1, span: time.Second, without: []string{armOurs}}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	null, err := b.target(t.Context(), armNull)
	if err != nil {
		t.Fatal(err)
	}
	before, err := resetPeak(null.pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a body of 200 MB", "deep JSON"} { // slow connections take as long as they are held
		if err := null.attack(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if err := null.attack(t.Context(), "kindness"); err == nil {
		t.Error("an attack that does not exist has run")
	}
	spent, err := processTime(null.pid)
	if err != nil || spent < 50*time.Millisecond {
		t.Errorf("reading 400 MB took the server %s, error %v: the attack did not reach it", spent, err)
	}
	if peak, err := memory(null.pid, "VmHWM"); err != nil || peak-before > 32 {
		t.Errorf("a handler that keeps nothing grew by %.0f MiB, error %v", peak-before, err)
	}
	if err := null.once(t.Context(), null.caller(false)); err != nil {
		t.Error(err)
	}
}
