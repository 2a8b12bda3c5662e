//go:build unix

package watch

import (
	"os"
	"os/signal"
	"syscall"
)

// suspensions returns a channel that has a value when the user suspends the program, and what ends that.
func suspensions() (<-chan os.Signal, func()) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTSTP)
	return asked, func() { signal.Stop(asked) }
}

// suspend stops the program until it is continued.
func suspend() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
