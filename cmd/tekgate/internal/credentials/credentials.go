// Package credentials creates registry and Git credentials for Tekton.
package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/credentials"
)

// Command returns the command.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credentials",
		Short: "Put credentials where Tekton reads them",
		Long: `Write the Secrets by which runs fetch sources, pull and push images, and the
lists in which Tekton and the kubelet look for them: those of ServiceAccounts,
default-pod-template, and the certificate authorities that Tekton trusts. Show which
of a Secret's entries each registry client sends for an image.

What others wrote is never replaced. Secret values are read from a file, from
standard input or from a prompt, never from an argument, where everybody on the
machine could read them; and they are never printed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(gitCommand(), registryCommand(), pullCommand(), caCommand(), explainCommand())
	return cmd
}

// giving is what the subcommands share: whom they write to and how.
type giving struct {
	kube      kubeflags.Flags
	namespace string
	account   string
	dryRun    bool
	output    cli.Output // of a dry run
}

func (g *giving) flags(cmd *cobra.Command) {
	g.kube.Add(cmd)
	cmd.Flags().BoolVar(&g.dryRun, "dry-run", false,
		"ask the server, print the objects with their values masked, and write nothing")
	g.output.Flag(cmd, "objects that --dry-run prints", objects.Formats...)
}

func (g *giving) accountFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&g.namespace, "namespace", "n", "default", "`NAMESPACE` of the runs")
	cmd.Flags().StringVar(&g.account, "service-account", "default",
		"`NAME` of the ServiceAccount of the runs; it is made if there is none")
}

// writer returns what writes, or in a dry run only asks.
func (g *giving) writer(streams cli.Streams) (credentials.Writer, error) {
	if err := g.output.Check(); err != nil {
		return credentials.Writer{}, err
	}
	c, err := g.kube.Client()
	if err != nil {
		return credentials.Writer{}, err
	}
	if g.dryRun {
		c = client.NewDryRunClient(c)
	}
	warning := func(text string) { warn(streams, []string{text}) }
	return credentials.Writer{Client: c, Warn: warning, Report: func(obj *unstructured.Unstructured, action string) {
		if !g.dryRun {
			fmt.Fprintf(streams.ErrOut, "%s %s\n", describe(obj), action)
			return
		}
		fmt.Fprintf(streams.ErrOut, "%s would be %s\n", describe(obj), action)
		if err := g.print(streams.Out, credentials.Masked(obj)); err != nil {
			fmt.Fprintln(streams.ErrOut, "warning:", err)
		}
	}}, nil
}

// print prints an object of a dry run.
func (g *giving) print(out io.Writer, obj *unstructured.Unstructured) error {
	if g.output.Format == objects.Formats[0] {
		return objects.PrintYAML(out, []*unstructured.Unstructured{obj})
	}
	return g.output.Each(out, objects.One(obj.Object))
}

func describe(obj *unstructured.Unstructured) string {
	return obj.GetKind() + "/" + obj.GetNamespace() + "/" + obj.GetName()
}

func warn(streams cli.Streams, warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(streams.ErrOut, "warning:", w)
	}
}

// readPassword reads one from a file, from standard input or from a prompt that
// does not show it.
func readPassword(streams cli.Streams, path string) ([]byte, error) {
	if path != "" {
		text, err := streams.ReadFile("the password", path)
		// The newline is the editor's, not the password's.
		return bytes.TrimRight(text, "\r\n"), err
	}
	file, ok := streams.In.(*os.File)
	if !ok || !cli.IsTerminal(file) {
		return nil, errors.New(
			"there is no terminal to ask for the password on: pass --password-file with a file, or - for standard input")
	}
	fmt.Fprint(streams.ErrOut, "Password: ")
	text, err := term.ReadPassword(int(file.Fd()))
	fmt.Fprintln(streams.ErrOut)
	if err != nil || len(text) == 0 {
		return nil, errors.New("no password was given")
	}
	return text, nil
}
