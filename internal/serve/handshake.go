package serve

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// shaking is a listener whose connections have shaken hands. An http.Server shakes
// hands in the goroutine that serves the connection, whose stack then stays as large
// as the handshake made it, a multiple of what serving needs, for as long as the
// connection is open: of a thousand slow clients that is most of the memory. Here each
// handshake has a goroutine that ends with it, and nothing of TLS is made before the
// first byte of a greeting has come.
type shaking struct {
	net.Listener
	config     *tls.Config
	handshakes *Handshakes

	accepted chan accepted
	closed   chan struct{}
	once     sync.Once
}

type accepted struct {
	conn net.Conn
	err  error
}

// shake returns a listener that shakes hands on what another accepts.
func shake(listener net.Listener, config *tls.Config, handshakes *Handshakes) net.Listener {
	s := &shaking{Listener: listener, config: config, handshakes: handshakes, accepted: make(chan accepted), closed: make(chan struct{})}
	go s.run()
	return s
}

// Accept implements net.Listener.
func (s *shaking) Accept() (net.Conn, error) {
	select {
	case next := <-s.accepted:
		return next.conn, next.err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. A connection that has not shaken hands by then is
// closed, as those are that nobody has accepted.
func (s *shaking) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Listener.Close()
}

func (s *shaking) run() {
	for {
		conn, err := s.Listener.Accept()
		if err == nil {
			go s.handshake(conn)
			continue
		}
		if !s.give(nil, err) || errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// give hands a connection on, or an error, after which an http.Server waits before it
// asks again. It reports false where nobody asks any more.
func (s *shaking) give(conn net.Conn, err error) bool {
	select {
	case s.accepted <- accepted{conn, err}:
		return true
	case <-s.closed:
		return false
	}
}

func (s *shaking) handshake(conn net.Conn) {
	greeted := &greeted{Conn: conn}
	err := conn.SetDeadline(time.Now().Add(headerTimeout))
	if err == nil {
		err = greeted.wait()
	}
	secure := tls.Server(greeted, s.config)
	if err == nil {
		err = secure.Handshake()
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	switch {
	case err != nil:
		s.handshakes.fail(refusePlain(err))
	case s.give(secure, nil):
		return
	}
	_ = conn.Close()
}

// greeted is a connection whose first byte is read before the others.
type greeted struct {
	net.Conn
	first  [1]byte
	unread bool
}

func (g *greeted) wait() error {
	n, err := g.Conn.Read(g.first[:])
	g.unread = n == 1
	return err
}

// Read implements net.Conn.
func (g *greeted) Read(p []byte) (int, error) {
	if g.unread && len(p) > 0 {
		g.unread = false
		return copy(p, g.first[:]), nil
	}
	return g.Conn.Read(p)
}

// refusePlain answers who speaks HTTP without TLS, and says what the handshake failed
// of, in the words of an http.Server.
func refusePlain(err error) string {
	var record tls.RecordHeaderError
	if !errors.As(err, &record) || record.Conn == nil || record.RecordHeader[0] < 'A' || record.RecordHeader[0] > 'Z' {
		return err.Error()
	}
	_, _ = io.WriteString(record.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis server speaks HTTPS: begin the address with https://\n")
	return plainHTTP
}
