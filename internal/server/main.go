// Package server is the framework of Tekgate's two servers, tekgate-webhook and
// tekgate-interceptor.
package server

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// Main runs a server until a signal ends its context, and returns the exit status of the
// process. A second signal ends the process at once. An error is printed as one line.
func Main(name string, args []string, run func(ctx context.Context, args []string, out, errOut io.Writer) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if err := run(ctx, args, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Log returns a log of JSON lines, which the libraries use, too.
func Log(out io.Writer) logr.Logger {
	log := logr.FromSlogHandler(slog.NewJSONHandler(out, nil))
	ctrllog.SetLogger(log)
	klog.SetLogger(log)
	return log
}

// Namespace returns the namespace of the Pod, or else that of an installation.
func Namespace() string { return cmp.Or(os.Getenv("POD_NAMESPACE"), wellknown.TekgateNamespace) }
