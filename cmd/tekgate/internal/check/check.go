// Package check reports whether an installation works, and why not.
package check

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/health"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/live"
)

// Command returns the command.
func Command() *cobra.Command {
	var (
		k          kubeflags.Flags
		registries release.Registries
		checks     health.Checks
		output     cli.Output
	)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether the installation works, and if not, why",
		Long: `Ask everything that has to hold for Tekton and Tekgate to work in a cluster:
that their parts run, from the mirror's images; that webhooks are registered,
trusted and answer; that no ClusterInterceptor keeps EventListeners from
starting. Each answer that is no names the object and where to read what to do.

Where Tekton demands of its own containers that they are not root (the feature flag
set-security-context), the registries of their images are asked as which user they run.

Nothing is written: the server is asked what would become of a TaskRun, and told
not to keep it. The exit status is 1 if anything fatal is wrong.`,
		Example: `  # after an install, until all is up
  tekgate check --wait 5m

  # in a pipeline
  tekgate check -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			cluster, err := k.Live()
			if err != nil {
				return output.Fail(cmd.OutOrStdout(), err)
			}
			asking := registries.Options()
			checks.Registries = &asking
			return run(cmd.Context(), cluster, checks, output, cli.StreamsOf(cmd))
		},
	}
	k.Add(cmd)
	registries.Flags(cmd)
	cmd.Flags().DurationVar(&checks.Wait, "wait", 0, "how long to ask again what time alone may mend, such as 5m")
	output.Table(cmd)
	return cmd
}

func run(ctx context.Context, cluster *live.Cluster, checks health.Checks, output cli.Output, s cli.Streams) error {
	checks.Waiting = func(r check.Result) {
		fmt.Fprintf(s.ErrOut, "waiting for %s: %s\n", r.Check.ID, r.Problems[0])
	}
	if !output.ForPrograms() {
		table := checkTable{out: cli.ForUsers(s.Out), signs: signsFor(s.Out)}
		checks.Done = table.row
	}
	report, err := checks.Run(ctx, cluster)
	if err != nil {
		return output.Fail(s.Out, err)
	}
	if output.ForPrograms() {
		if err := output.Print(s.Out, report, nil); err != nil {
			return err
		}
	}
	return report.Err()
}

// signs stand before each check.
type signs map[check.Status]string

var (
	terminalSigns = signs{check.Success: "√", check.Warning: "‼", check.Error: "×", check.Skipped: "-"}
	plainSigns    = signs{check.Success: "[ok]  ", check.Warning: "[warn]", check.Error: "[fail]",
		check.Skipped: "[skip]"}
)

// signsFor keeps to ASCII where nobody knows how the text will be shown.
func signsFor(out io.Writer) signs {
	if cli.IsTerminal(out) {
		return terminalSigns
	}
	return plainSigns
}

// checkTable prints checks as they are answered, under their category.
type checkTable struct {
	out      io.Writer
	signs    signs
	category string
}

func (t *checkTable) row(r check.Result) {
	if r.Check.Category != t.category {
		if t.category != "" {
			fmt.Fprintln(t.out)
		}
		t.category = r.Check.Category
		fmt.Fprintln(t.out, t.category)
	}
	fmt.Fprintf(t.out, "%s %s\n", t.signs[r.Status], r.Check.Title)
	for _, problem := range r.Problems {
		fmt.Fprintf(t.out, "    %s\n", problem)
	}
	if r.Status == check.Warning || r.Status == check.Error {
		fmt.Fprintf(t.out, "    see %s\n", r.Check.Hint())
	}
}
