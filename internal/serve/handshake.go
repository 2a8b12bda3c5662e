package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// shaking is a listener whose connections have shaken hands and brought the header of
// a request. An http.Server does both in the goroutine that serves the connection, for
// which it makes 9 KiB of buffers, and whose stack stays as large as the handshake made
// it for as long as the connection is open: of a thousand slow clients that is most of
// the memory. Here each handshake has a goroutine that ends with it, the header is
// waited for in another, and nothing of TLS is made before the first byte has come.
//
// So requests have no TLS field, which nobody asks for.
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
	first := &begun{Conn: conn}
	err := conn.SetDeadline(time.Now().Add(headerTimeout))
	if err == nil {
		err = first.read(1)
	}
	secure := tls.Server(first, s.config)
	if err == nil {
		err = secure.HandshakeContext(context.Background()) // the deadline bounds it
	}
	if err != nil {
		s.handshakes.fail(refusePlain(err))
		_ = conn.Close()
		return
	}
	go s.header(secure)
}

// header waits for the header of the first request, and hands the connection on.
func (s *shaking) header(secure *tls.Conn) {
	conn := &begun{Conn: secure}
	err := secure.SetDeadline(time.Now().Add(headerTimeout))
	for err == nil && !conn.hasHeader() {
		err = conn.read(headerRoom)
	}
	if err == nil {
		err = secure.SetDeadline(time.Time{})
	}
	if err != nil || !s.give(conn, nil) {
		_ = secure.Close()
	}
}

// begun is a connection whose first bytes were read ahead.
type begun struct {
	net.Conn
	ahead []byte
}

// headerRoom is read of a header at a time. An API server's is shorter.
const headerRoom = 512

// read reads some bytes ahead, at most as many as said.
func (b *begun) read(most int) error {
	b.ahead = slices.Grow(b.ahead, most)
	n, err := b.Conn.Read(b.ahead[len(b.ahead) : len(b.ahead)+most])
	b.ahead = b.ahead[:len(b.ahead)+n]
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// hasHeader tells whether a header was read to its end, or is so long that the server
// will refuse it.
func (b *begun) hasHeader() bool {
	return bytes.Contains(b.ahead, []byte("\n\r\n")) || bytes.Contains(b.ahead, []byte("\n\n")) || len(b.ahead) > maxHeader+headerRoom*10
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.ahead) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.ahead)
	if b.ahead = b.ahead[n:]; len(b.ahead) == 0 {
		b.ahead = nil
	}
	return n, nil
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
