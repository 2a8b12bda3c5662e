package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/e2e/servers"
)

// nullOrder is what the process of the null handler is told, on its standard input.
type nullOrder struct {
	Address          string
	Certificate, Key []byte // PEM
	Patch            []byte // of every answer; none where empty
}

// nullCommand is the process of the null handler.
func nullCommand() *cobra.Command {
	return &cobra.Command{
		Use: "null", Hidden: true, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return answerNull(command.InOrStdin()) },
	}
}

// answerNull serves the least that a webhook can do: it reads the review, finds its
// uid, and answers with a patch that is always the same. It offers HTTP/1.1 alone,
// which is what an API server speaks to a Service.
func answerNull(in io.Reader) error {
	var order nullOrder
	if err := json.NewDecoder(in).Decode(&order); err != nil {
		return fmt.Errorf("reading what to serve: %w", err)
	}
	pair, err := tls.X509KeyPair(order.Certificate, order.Key)
	if err != nil {
		return err
	}
	server := &http.Server{
		Addr: order.Address, Handler: nullHandler(order.Patch), ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS13},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	return server.ListenAndServeTLS("", "")
}

func nullHandler(patch []byte) http.Handler {
	tail := []byte(`","allowed":true}}`)
	if len(patch) > 0 {
		tail = fmt.Appendf(nil, `","allowed":true,"patchType":"JSONPatch","patch":%s}}`, encode(patch)) // as base64
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		review, err := io.ReadAll(r.Body)
		_, rest, found := bytes.Cut(review, []byte(`"uid":"`)) // that of the request comes first
		uid, _, closed := bytes.Cut(rest, []byte(`"`))
		if err != nil || !found || !closed {
			http.Error(rw, "this is no review", http.StatusBadRequest)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		answer := append(append([]byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"`), uid...), tail...)
		_, _ = rw.Write(answer) // who has gone needs no answer
	})
}

// startNull starts the null handler as a process of its own, as all arms are, and
// returns its address and its certificate as PEM.
func startNull(ctx context.Context, undo *cleanup, patch []byte) (address string, ca []byte, err error) {
	order := nullOrder{Patch: patch}
	if order.Address, err = child.FreeAddress(ctx); err != nil {
		return "", nil, err
	}
	identity, err := peers.NewIdentity()
	if err != nil {
		return "", nil, err
	}
	order.Certificate, order.Key = identity.Certificate, identity.Key
	program, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, program, "null")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(encode(order)), os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting the null handler: %w", err)
	}
	undo.add(func() {
		_ = cmd.Process.Kill() // it ends in no other way
		_ = cmd.Wait()
	})
	return order.Address, identity.CA, eventually(ctx, "the null handler listens", func() error {
		_, err := servers.Handshake(ctx, order.Address, identity.CA)
		return err
	})
}
