package main

import (
	"fmt"

	"github.com/fluxcd/pkg/ssa"
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/installer"
)

func diffCommand() *cobra.Command {
	var (
		i        installation
		exitCode bool
	)
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Say what install would change in the cluster",
		Long: `Ask the server what install would change, without changing anything: one line
for every object that would be created or deleted, and a unified diff for every
one that would be configured. The values of Secrets are masked.

The comparison is three-way: where the cluster differs from the release that is
installed, because you or something else changed it, that is listed too, and for
ConfigMaps whether it would be kept.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := diff(cmd, &i)
			if err == nil && found && exitCode {
				return differentError("install would change the cluster")
			}
			return err
		},
	}
	i.source.flags(cmd)
	i.kube.flags(cmd)
	cmd.Flags().StringArrayVar(&i.previous, "previous-manifest", nil, "`SOURCE` of the manifests that the cluster was installed from, where Tekgate did not install it (repeatable)")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with status 2 when there are differences (1 is an error)")
	return cmd
}

func diff(cmd *cobra.Command, i *installation) (found bool, err error) {
	// Whatever would refuse an install is said, and compared all the same.
	i.options.Force, i.skipProbe = true, true
	out, talk := cmd.OutOrStdout(), cmd.ErrOrStderr()
	cluster, release, err := i.connect(cmd.Context(), cmd.InOrStdin(), talk)
	if err != nil {
		return false, err
	}
	plan, err := cluster.Plan(cmd.Context(), release, i.options)
	if err != nil {
		return false, err
	}
	for _, f := range plan.Findings {
		fmt.Fprintf(talk, "%s: %s\n", severity(f), f)
	}
	differences, err := plan.Differences()
	if err != nil {
		return false, err
	}
	unchanged := 0
	for _, d := range differences {
		if d.Yours != "" {
			fmt.Fprintf(out, "%s differs from the installed release\n%s", d.Subject, d.Yours)
		}
		if d.Action == ssa.UnchangedAction {
			unchanged++
			continue
		}
		fmt.Fprintf(out, "%s would be %s\n%s", d.Subject, d.Action, d.Text)
	}
	for _, m := range plan.Merges {
		fmt.Fprintf(out, "ConfigMap %s: %s\n", m.ConfigMap, sentence(m))
	}
	fmt.Fprintf(talk, "%d objects: %d would change, %d unchanged\n", len(differences), len(differences)-unchanged, unchanged)
	return unchanged < len(differences), nil
}

func severity(f installer.Finding) string {
	if f.Fatal {
		return "install would refuse"
	}
	return "warning"
}
