// Package child helps with processes that run beside a test: it keeps their logs, chooses
// their addresses and finds them again.
package child

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
)

// Log takes what a process says, and may be read meanwhile. Its zero value is empty.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// FreeAddress returns an address of loopback at which nobody listens. Somebody else
// could take it before it is used; then the process says so and ends.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
