// Package servers runs Tekgate's admission server as a cluster does.
//
// Replicas are processes with the rights of the manifests, behind one address that replaces
// a Service, and registered as the manifests register them.
package servers

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// learnt is how long a node still sends connections to a Pod that is no longer ready.
const learnt = 3 * time.Second

// Service is an address that forwards connections to its backends in turn, as kube-proxy
// does. Open connections stay at their backend, and the removal of a backend takes effect
// after a while.
type Service struct {
	listener net.Listener

	mu       sync.Mutex
	backends []*Backend
	turn     int
}

// Backend is an address behind a Service.
type Backend struct {
	Address     string       // host and port
	Connections atomic.Int64 // opened to it
}

// Listen returns a Service without backends. The caller closes it.
func Listen(ctx context.Context, address string) (*Service, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening as a Service: %w", err)
	}
	s := &Service{listener: listener}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			go s.forward(context.WithoutCancel(ctx), conn)
		}
	}()
	return s, nil
}

// Address is host and port of the Service.
func (s *Service) Address() string { return s.listener.Addr().String() }

// Close stops accepting connections. Open connections stay open.
func (s *Service) Close() error { return s.listener.Close() }

// Add adds a backend.
func (s *Service) Add(address string) *Backend {
	b := &Backend{Address: address}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends = append(s.backends, b)
	return b
}

// Leave waits until a backend is not ready, and then until nodes notice. After that no
// connection is opened to it.
func (s *Service) Leave(ctx context.Context, b *Backend, ready func(context.Context) error) {
	for ready(ctx) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(learnt)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends = slices.DeleteFunc(s.backends, func(other *Backend) bool { return other == b })
}

func (s *Service) next() *Backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.backends) == 0 {
		return nil
	}
	s.turn++
	return s.backends[s.turn%len(s.backends)]
}

func (s *Service) forward(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	b := s.next()
	if b == nil {
		return
	}
	behind, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.Address)
	if err != nil {
		return
	}
	defer behind.Close()
	b.Connections.Add(1)
	go func() {
		_, _ = io.Copy(behind, conn) // either side may go at any time
		if half, ok := behind.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(conn, behind)
}
