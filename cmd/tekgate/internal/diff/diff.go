// Package diff shows what an install would change in a cluster.
package diff

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/fluxcd/pkg/ssa"
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
)

// Command returns the command.
func Command() *cobra.Command {
	var (
		target   release.Target
		exitCode bool
		output   cli.Output
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
			if err := output.Check(); err != nil {
				return err
			}
			found, err := diff(cmd.Context(), &target, &output, cli.StreamsOf(cmd))
			if err == nil && found && exitCode {
				return cli.Exit(2, errors.New("install would change the cluster"))
			}
			return err
		},
	}
	output.Flag(cmd, "differences", append([]string{"text"}, cli.Rows...)...)
	target.Flags(cmd,
		"`SOURCE` of the manifests that the cluster was installed from, where Tekgate did not install it (repeatable)")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with status 2 when there are differences (1 is an error)")
	return cmd
}

func diff(ctx context.Context, target *release.Target, output *cli.Output, s cli.Streams) (found bool, err error) {
	// What an install would refuse is reported, and the rest is compared.
	target.Options.Force, target.SkipProbe = true, true
	cluster, rendered, err := target.Connect(ctx, s)
	if err != nil {
		return false, err
	}
	plan, err := cluster.Plan(ctx, rendered, target.Options)
	if err != nil {
		return false, err
	}
	for _, f := range plan.Findings {
		fmt.Fprintf(s.ErrOut, "%s: %s\n", severity(f), f)
	}
	for _, note := range plan.Notes {
		fmt.Fprintf(s.ErrOut, "note: %s\n", note)
	}
	differences, err := plan.Differences()
	if err != nil {
		return false, err
	}
	unchanged := 0
	for _, d := range differences {
		if d.Action == ssa.UnchangedAction {
			unchanged++
		}
	}
	result := compared{Findings: plan.Findings, Notes: plan.Notes, Merges: plan.Merges, Objects: differences}
	if err := output.Print(s.Out, result, result.print); err != nil {
		return false, err
	}
	fmt.Fprintf(s.ErrOut, "%d objects: %d would change, %d unchanged\n", len(differences), len(differences)-unchanged,
		unchanged)
	return unchanged < len(differences), nil
}

// compared is what diff prints.
type compared struct {
	Findings []installer.Finding    `json:"findings,omitempty"`
	Notes    []string               `json:"notes,omitempty"`
	Merges   []installer.Merge      `json:"configuration,omitempty"`
	Objects  []installer.Difference `json:"objects"`
}

// Names returns the objects that would change, as "kind/namespace/name".
func (c compared) Names() []string {
	var names []string
	for _, d := range c.Objects {
		if d.Action != ssa.UnchangedAction {
			names = append(names, d.Subject)
		}
	}
	return names
}

func (c compared) print(out io.Writer) error {
	for _, d := range c.Objects {
		if d.Yours != "" {
			fmt.Fprintf(out, "%s differs from the installed release\n%s", d.Subject, d.Yours)
		}
		if d.Action == ssa.UnchangedAction {
			continue
		}
		fmt.Fprintf(out, "%s would be %s\n%s", d.Subject, d.Action, d.Text)
		for _, change := range d.Images {
			fmt.Fprintf(out, "  image %s\n", change)
		}
	}
	for _, m := range c.Merges {
		fmt.Fprintf(out, "ConfigMap %s: %s\n", m.ConfigMap, release.DescribeMerge(m))
	}
	return nil
}

func severity(f installer.Finding) string {
	if f.Fatal {
		return "install would refuse"
	}
	return "warning"
}
