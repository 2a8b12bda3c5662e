package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// It ends as its command does, as shells have it.
func TestRun(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0":           0,
		"exit 3":           3,
		"kill -KILL $$":    128 + 9,
		"sleep 0 & exit 4": 4, // whoever else ends does not count
	} {
		if got, err := run([]string{"sh", "-c", script}, nil); got != want || err != nil {
			t.Errorf("%q ends with %d, error %v; want %d", script, got, err, want)
		}
	}
	if _, err := run([]string{"no-such-program"}, nil); err == nil {
		t.Error("what there is not is no error")
	}
}

// A signal to it is one to its command, which may end as it likes.
func TestSignal(t *testing.T) {
	stop := make(chan os.Signal, 1)
	go func() {
		time.Sleep(300 * time.Millisecond)
		stop <- syscall.SIGTERM
	}()
	status, err := run([]string{"sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"}, stop)
	if status != 7 || err != nil {
		t.Errorf("it ends with %d, error %v", status, err)
	}
}

// Without a command it waits until it is told to end.
func TestPause(t *testing.T) {
	stop, done := make(chan os.Signal, 1), make(chan bool)
	go func() { pause(stop); close(done) }()
	select {
	case <-done:
		t.Fatal("it has ended by itself")
	case <-time.After(100 * time.Millisecond):
	}
	stop <- syscall.SIGTERM
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("it does not end")
	}
}
