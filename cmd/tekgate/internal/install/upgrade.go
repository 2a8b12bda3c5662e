package install

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/upgrade"
	lines "github.com/tekgate/tekgate/internal/release"
)

// upgrading has the flags of an upgrade.
type upgrading struct {
	installation

	to  string
	via []string
}

// Upgrade returns the command that upgrades an installation.
func Upgrade() *cobra.Command {
	var u upgrading
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Upgrade Tekton Pipelines, Triggers and Tekgate",
		Long: `Upgrade what is installed. Without --to this is the same as install.

With --to the way to a line of Tekton Pipelines is planned from what the cluster runs,
also if another tool installed it, and printed with the reasons. A stop in between is planned where a
release lacks the version in which the cluster stores its objects. All lines are compared
with the server's version of Kubernetes. Kinds and feature flags that the target does not
have are listed. Each hop is a whole install with its checks and waits, and before the
first of several hops the mirror is asked for the images of all of them. ` + "`tekgate rollback`" + `
returns to the hop before. A line that is older than what is installed is refused.

With --dry-run the way is printed, and the first hop is tried. With -o json the reports of all
hops are one document.`,
		Example: `  # which way leads to the line v1.15, and what would it change?
  tekgate upgrade --mirror daocloud --to v1.15 --dry-run

  # the same, with stops
  tekgate upgrade --mirror daocloud --to v1.15 --via v1.9,v1.12`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return u.run(cmd) },
	}
	u.flags(cmd)
	cmd.Flags().StringVar(&u.to, "to", "", "`LINE` or version to upgrade to, or newest: `tekgate versions` lists them")
	cmd.Flags().StringSliceVar(&u.via, "via", nil, "`LINES` to stop at on the way, such as v1.9,v1.12")
	return cmd
}

func (u *upgrading) run(cmd *cobra.Command) error {
	if u.to == "" {
		if len(u.via) > 0 {
			return errors.New("--via names stops on the way to a line: name that line with --to")
		}
		return u.installation.run(cmd)
	}
	return u.apply.RunHops(cmd, func(planned func([]string)) error { return u.runHops(cmd, planned) })
}

func (u *upgrading) runHops(cmd *cobra.Command, planned func(versions []string)) error {
	ctx, s := cmd.Context(), cli.StreamsOf(cmd)
	target, err := lines.FindLine(u.to)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	if err := u.target.Source.RefuseTo(target); err != nil {
		return err
	}
	path, err := u.find(ctx, target)
	if err != nil {
		return err
	}
	sayPath(s.ErrOut, path)
	var versions []string
	for _, hop := range path.Hops {
		versions = append(versions, hop.Pipeline)
	}
	planned(versions)
	if len(path.Hops) > 1 && !u.apply.DryRun() {
		if err := u.tryAll(ctx, s, path.Hops); err != nil {
			return err
		}
	}
	for i, hop := range path.Hops {
		if len(path.Hops) > 1 {
			fmt.Fprintf(s.ErrOut, "hop %d of %d: Tekton Pipelines %s\n", i+1, len(path.Hops), hop.Pipeline)
		}
		u.target.Source.UseLine(hop.Target())
		if err := u.installation.run(cmd); err != nil {
			return err
		}
		if u.apply.DryRun() {
			break
		}
	}
	return nil
}

// find plans the way.
func (u *upgrading) find(ctx context.Context, target lines.Line) (*upgrade.Path, error) {
	via := make([]string, 0, len(u.via))
	for _, name := range u.via {
		l, err := lines.FindLine(name)
		if err != nil {
			return nil, fmt.Errorf("--via: %w", err)
		}
		via = append(via, l.Name)
	}
	stops := make([]upgrade.Stop, 0, len(lines.Lines))
	for _, l := range lines.Lines {
		objects, err := release.EmbeddedLine(l)
		if err != nil {
			return nil, err
		}
		stops = append(stops, upgrade.Stop{Line: l, Objects: objects})
	}
	config, err := u.target.Kube.RESTConfig()
	if err != nil {
		return nil, err
	}
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return nil, err
	}
	facts, err := upgrade.Read(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return upgrade.Find(facts, stops, target.Name, via)
}

// tryAll renders all hops, and asks the mirror for their images.
func (u *upgrading) tryAll(ctx context.Context, s cli.Streams, hops []upgrade.Hop) error {
	for _, hop := range hops {
		u.target.Source.UseLine(hop.Target())
		if _, _, err := u.target.Connect(ctx, s); err != nil {
			return fmt.Errorf("preparing the hop to %s, so nothing was changed: %w", hop.Pipeline, err)
		}
		for _, f := range u.target.Options.Findings {
			if f.Fatal && !u.target.Options.Force {
				return fmt.Errorf("nothing was changed, since the hop to %s would fail: %s", hop.Pipeline, f)
			}
		}
	}
	return nil
}

func sayPath(errOut io.Writer, path *upgrade.Path) {
	fmt.Fprintf(errOut, "from Tekton Pipelines %s, in %s:\n", path.From.Pipeline, cli.Plural(len(path.Hops), "hop"))
	for i, hop := range path.Hops {
		fmt.Fprintf(errOut, "%d. Tekton Pipelines %s, Tekton Triggers %s\n", i+1, hop.Pipeline, hop.Triggers)
		for _, reason := range hop.Reasons {
			fmt.Fprintf(errOut, "   %s\n", reason)
		}
	}
	for _, note := range path.Notes {
		fmt.Fprintf(errOut, "note: %s\n", note)
	}
}
