package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
)

func caCommand() *cobra.Command {
	var (
		g       giving
		restart bool
	)
	cmd := &cobra.Command{
		Use:   "ca FILE",
		Short: "Make Tekton trust the certificate authority of a registry",
		Long: `Add the certificates of FILE (- for standard input) to Tekton's ConfigMap
config-registry-cert. Tekton's controller itself asks registries for the
entrypoint of each image, and what the nodes trust does not help it.

The controllers read the file when they start: --restart replaces their Pods.`,
		Example: `  tekgate credentials ca ca.crt --restart`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := cli.StreamsOf(cmd).ReadFile("the certificates", args[0])
			if err != nil {
				return err
			}
			return g.trust(cmd.Context(), cli.StreamsOf(cmd), text, restart)
		},
	}
	g.flags(cmd)
	cmd.Flags().BoolVar(&restart, "restart", false, "replace the Pods of the controllers that read the certificates")
	return cmd
}

func (g *giving) trust(ctx context.Context, streams cli.Streams, text []byte, restart bool) error {
	w, err := g.writer(streams)
	if err != nil {
		return err
	}
	now := time.Now()
	if err := w.CA(ctx, text, now); err != nil {
		return err
	}
	deployments, err := w.Trusting(ctx)
	if err != nil {
		return err
	}
	var names []string
	var problems []error
	for _, d := range deployments {
		names = append(names, "deployment/"+d.GetName())
		if restart {
			problems = append(problems, w.Restart(ctx, d, now))
		}
	}
	if !restart && len(names) > 0 {
		fmt.Fprintf(streams.ErrOut,
			"the controllers know it after a restart: run this again with --restart, or `kubectl -n %s rollout restart %s`\n",
			deployments[0].GetNamespace(), strings.Join(names, " "))
	}
	return errors.Join(problems...)
}
