package main

import (
	"testing"
	"time"
)

// The attacks come from a process of their own and reach the server, which still answers.
func TestAttack(t *testing.T) {
	e, err := newEnvironment(options{rounds: 1, span: time.Second, without: []string{tekgate}}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	server, err := e.target(t.Context(), null)
	if err != nil {
		t.Fatal(err)
	}
	before, err := resetPeak(server.pid)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range attacks() {
		if err := server.attack(t.Context(), a.name); err != nil {
			t.Error(err)
		}
	}
	if err := server.attack(t.Context(), "kindness"); err == nil {
		t.Error("an attack that does not exist ran")
	}
	spent, err := processTime(server.pid)
	if err != nil || spent < 50*time.Millisecond {
		t.Errorf("reading 400 MB took the server %s, error %v: the attack did not reach it", spent, err)
	}
	if peak, err := processMemory(server.pid, peakSet); err != nil || peak-before > 32 {
		t.Errorf("a handler that keeps nothing grew by %.0f MiB, error %v", peak-before, err)
	}
	if _, err := server.send(t.Context(), server.caller(false)); err != nil {
		t.Error(err)
	}
}
