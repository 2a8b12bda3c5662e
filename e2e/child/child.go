// Package child helps with processes that run beside a test: it keeps their logs, chooses
// their addresses and finds them again.
package child

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
)

// Log collects the output of a process, and may be read at any time. Its zero value is empty.
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

// End returns the last lines, of no more than size bytes together.
func (l *Log) End(size int) string {
	text := l.String()
	if len(text) <= size {
		return text
	}
	_, lines, _ := strings.Cut(text[len(text)-size:], "\n")
	return lines
}

// FreeAddress returns an unused address of loopback. Another process could take it before
// it is used; then the process ends with an error.
func FreeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}
