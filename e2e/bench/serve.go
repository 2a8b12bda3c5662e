package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/e2e/baseline"
)

// serveCommand runs a handler of package baseline, see peers.StartBaseline. It uses
// net/http's defaults, but without HTTP/2, which no API server uses for a Service.
func serveCommand() *cobra.Command {
	var dir, address string
	command := &cobra.Command{
		Use: "serve null|kubebuilder", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			handler, err := baselineHandler(args[0], filepath.Join(dir, "answer.json"))
			if err != nil {
				return err
			}
			server := &http.Server{
				Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute,
				TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}},
			}
			server.Protocols = &http.Protocols{}
			server.Protocols.SetHTTP1(true)
			return server.ListenAndServeTLS(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		},
	}
	command.Flags().StringVar(&dir, "dir", "", "`directory` with tls.crt, tls.key and answer.json")
	command.Flags().StringVar(&address, "address", "", "`address` to serve at")
	return command
}

func baselineHandler(kind, answer string) (http.Handler, error) {
	switch kind {
	case null:
		text, err := os.ReadFile(answer)
		if err != nil {
			return nil, fmt.Errorf("reading the answer: %w", err)
		}
		return baseline.Null(text), nil
	case kubebuilder:
		handler, err := baseline.Kubebuilder()
		return &admission.Webhook{Handler: handler}, err
	default:
		return nil, fmt.Errorf("there is no baseline %q", kind)
	}
}
