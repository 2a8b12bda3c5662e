package main

import (
	"testing"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
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
	before, err := load.ResetPeak(server.PID)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range load.Attacks() {
		if err := server.Attack(t.Context(), a.Name); err != nil {
			t.Error(err)
		}
	}
	if err := server.Attack(t.Context(), "kindness"); err == nil {
		t.Error("an attack that does not exist ran")
	}
	spent, err := load.ProcessTime(server.PID)
	if err != nil || spent < 50*time.Millisecond {
		t.Errorf("reading 400 MB took the server %s, error %v: the attack did not reach it", spent, err)
	}
	if peak, err := load.ProcessMemory(server.PID, load.PeakSet); err != nil || peak-before > 32 {
		t.Errorf("a handler that keeps nothing grew by %.0f MiB, error %v", peak-before, err)
	}
	if _, err := server.Send(t.Context(), server.Caller(false)); err != nil {
		t.Error(err)
	}
}
