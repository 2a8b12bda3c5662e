package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// distance is a proxy on loopback that makes a server seem far away. It passes on the bytes of each
// connection unchanged, TLS included, and each piece half a round trip after it came. The first piece
// of a connection waits one round trip more, as TCP's handshake would take. So a client pays for the
// requests that it sends one after the other, and not for those that it sends at once. Bandwidth is
// not limited.
type distance struct {
	listener  net.Listener
	target    string
	roundTrip time.Duration
}

// away starts a proxy and returns it. It ends with the context.
func away(ctx context.Context, target string, roundTrip time.Duration) (*distance, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the proxy: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	d := &distance{listener, target, roundTrip}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // it is closed
			}
			go d.serve(ctx, client)
		}
	}()
	return d, nil
}

// serve carries the bytes of a connection both ways.
func (d *distance) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.target)
	if err != nil {
		return // the client sees that its connection ends
	}
	defer server.Close()
	go carry(client, server, d.roundTrip/2, 0)
	carry(server, client, d.roundTrip/2, d.roundTrip)
}

// piece is what one read returned, and when it is passed on.
type piece struct {
	data []byte
	due  time.Time
}

// carry passes on what comes from one end, a while after it came, until that end is closed. The first
// piece waits longer.
func carry(to io.WriteCloser, from io.Reader, wait, first time.Duration) {
	defer to.Close()
	pieces := make(chan piece, 1<<10) // so that reading does not wait for writing
	go func() {
		defer close(pieces)
		for more := first; ; more = 0 {
			data := make([]byte, 32<<10)
			n, err := from.Read(data)
			if n > 0 {
				pieces <- piece{data[:n], time.Now().Add(wait + more)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	for range pieces { // the reader must not wait
	}
}

// kubeconfig writes a copy of a kubeconfig whose servers are all behind the proxy.
func (d *distance) kubeconfig(original, file string) error {
	config, err := clientcmd.LoadFromFile(original)
	if err != nil {
		return err
	}
	for _, cluster := range config.Clusters {
		server, err := url.Parse(cluster.Server)
		if err != nil {
			return err
		}
		if cluster.TLSServerName == "" {
			cluster.TLSServerName = server.Hostname()
		}
		server.Host = d.listener.Addr().String()
		cluster.Server = server.String()
	}
	return clientcmd.WriteToFile(*config, file)
}
