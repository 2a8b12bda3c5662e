package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
)

// TestEnds holds that a terminal that closes lets a command clean up, except under nohup.
func TestEnds(t *testing.T) {
	var hangup os.Signal = syscall.SIGHUP
	if !signal.Ignored(hangup) && !slices.Contains(ends(), hangup) {
		t.Error("SIGHUP kills without cleaning up")
	}
	signal.Ignore(hangup)
	t.Cleanup(func() { signal.Reset(hangup) })
	if slices.Contains(ends(), hangup) {
		t.Error("SIGHUP is caught under nohup")
	}
}
