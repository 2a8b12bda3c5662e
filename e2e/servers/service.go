// Package servers runs Tekgate's admission server as a cluster does: as processes
// with the rights of the manifests, behind one address in the place of a Service,
// and registered as the manifests register it.
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

// Learnt is how long a node goes on sending connections to a Pod that is no longer
// ready.
const Learnt = 3 * time.Second

// Service is an address that leads to some backends in turn, as kube-proxy makes a
// Service: connections stay where they are, and a backend that has gone is learnt of
// a while later.
type Service struct {
	listener net.Listener

	mu       sync.Mutex
	backends []*Backend
	turn     int
}

// Backend is what is behind a Service.
type Backend struct {
	Address     string       // host and port
	Connections atomic.Int64 // that were made to it
}

// Listen makes one without any backend. The caller closes it.
func Listen(ctx context.Context, address string) (*Service, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening in the place of a Service: %w", err)
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

// Close takes no more connections; those that there are go on.
func (s *Service) Close() error { return s.listener.Close() }

// Add sends connections to an address, too.
func (s *Service) Add(address string) *Backend {
	b := &Backend{Address: address}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends = append(s.backends, b)
	return b
}

// Leave waits until a backend is unready, and then as long as it takes for nodes to
// learn of it; from then on no connection is made to it.
func (s *Service) Leave(ctx context.Context, b *Backend, ready func(context.Context) error) {
	for ready(ctx) == nil {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(Learnt)
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
