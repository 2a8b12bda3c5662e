// Command tekgate installs Tekton and Tekgate from mirrors.
//
// Its verbs are prefixes of one pipeline: render loads and rewrites, diff also
// asks the server, install also applies. What a machine reads goes to standard
// output, what people read to standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/manifests"
)

func main() { os.Exit(start()) }

func start() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tekgate:", err)
	}
	return status(err)
}

// status is the exit status that an error ends the program with.
func status(err error) int {
	var different differentError
	var own statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return own.status
	case errors.As(err, &different), errors.Is(err, errRefused):
		return 2
	}
	return 1
}

// differentError is what a command with --exit-code ends with where it found that
// something would change. It says what.
type differentError string

func (e differentError) Error() string { return string(e) }

// statusError is an error with an exit status that its command documents.
type statusError struct {
	error
	status int
}

func (e statusError) Unwrap() error { return e.error }

// run is the whole program: it returns what went wrong as one sentence.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) error {
	root := command()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	return root.ExecuteContext(ctx)
}

// command returns the whole command tree.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tekgate",
		Short: "Make Tekton usable where its registries are not",
		Long: `Tekgate installs Tekton Pipelines and Triggers from mirrors, gives every TaskRun
the registry credentials, ServiceAccount and Kaniko settings it needs, and lets
only verified events start a pipeline.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       manifests.Version,
	}
	root.SetVersionTemplate("tekgate {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: `%s --help` lists the flags", err, cmd.CommandPath())
	})
	root.AddCommand(installCommand(), renderCommand(), diffCommand())
	root.AddCommand(checkCommand(), statusCommand(), uninstallCommand(), credentialsCommand(), auditCommand(), supportBundleCommand())
	root.AddCommand(imagesCommand(), explainCommand(), mutateCommand(), scanCommand(), hookCommand())
	root.AddCommand(lintCommand(), exportCommand())
	return root
}
