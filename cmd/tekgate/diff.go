package main

import (
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/ssa"
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/installer"
)

// errDifferent is what `diff --exit-code` ends with where there are differences.
var errDifferent = errors.New("install would change the cluster")

func diffCommand() *cobra.Command {
	var (
		s        source
		k        kube
		exitCode bool
	)
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Say what install would change in the cluster",
		Long: `Ask the server what install would change, without changing anything: one line
for every object that would be created, and a unified diff for every one that
would be configured. The values of Secrets are masked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := diff(cmd, &s, &k)
			if err == nil && found && exitCode {
				return errDifferent
			}
			return err
		},
	}
	s.flags(cmd)
	k.flags(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with status 2 when there are differences (1 is an error)")
	return cmd
}

func diff(cmd *cobra.Command, s *source, k *kube) (found bool, err error) {
	config, err := k.restConfig()
	if err != nil {
		return false, err
	}
	r, err := s.render(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
	if err != nil {
		return false, err
	}
	cluster, err := installer.Connect(cmd.Context(), config)
	if err != nil {
		return false, err
	}
	differences, err := cluster.Diff(cmd.Context(), r.objects)
	if err != nil {
		return false, err
	}
	unchanged := 0
	for _, d := range differences {
		if d.Action == ssa.UnchangedAction {
			unchanged++
			continue
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s would be %s\n%s", d.Subject, d.Action, d.Text)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d objects: %d would change, %d unchanged\n", len(differences), len(differences)-unchanged, unchanged)
	return unchanged < len(differences), nil
}
