// Command tekgate installs Tekton and Tekgate from mirrors, and checks what runs there.
//
// Each verb is a package in internal. Results go to stdout, messages to stderr.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/audit"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/check"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/credentials"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/diff"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/explain"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/export"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/hook"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/images"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/install"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/lint"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/migrate"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/mutate"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/render"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/rollback"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/scan"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/status"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/support"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/uninstall"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/versions"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/why"
	"github.com/tekgate/tekgate/manifests"
)

func main() { os.Exit(run()) }

// interrupted is the exit status after SIGINT, as shells have it.
const interrupted = 130

// run executes the command line, prints its error, and returns the exit status.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), ends()...)
	defer stop()
	// Users get sentences, and no log lines of libraries.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	err := cli.Run(ctx, root(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	if err != nil && ctx.Err() != nil {
		err = cli.Exit(interrupted, fmt.Errorf("interrupted: %w", err))
	}
	if err != nil {
		cli.PrintError(os.Stderr, err)
	}
	return cli.Status(err)
}

// ends returns the signals after which a command cleans up and ends. SIGHUP is none of them
// under nohup.
func ends() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// root returns the whole command tree.
func root() *cobra.Command {
	root := cli.Root(
		install.Command(),
		install.Upgrade(),
		rollback.Command(),
		render.Command(),
		diff.Command(),
		check.Command(),
		status.Command(),
		why.Command(),
		uninstall.Command(),
		versions.Command(time.Now),
		credentials.Command(),
		audit.Command(),
		support.Command(),
		images.Command(),
		explain.Command(),
		mutate.Command(),
		scan.Command(),
		hook.Command(),
		lint.Command(),
		migrate.Command(),
		export.Command(),
	)
	root.Short = "Make Tekton usable where its registries are not"
	root.Long = `Tekgate installs Tekton Pipelines and Triggers from mirrors, gives every TaskRun
the registry credentials, ServiceAccount and Kaniko settings it needs, and lets
only verified events start a pipeline.`
	root.Version = manifests.Version
	return root
}
