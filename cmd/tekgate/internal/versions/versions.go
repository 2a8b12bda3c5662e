// Package versions lists the release lines that are compiled in, and what a cluster runs.
package versions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/upgrade"
	lines "github.com/tekgate/tekgate/internal/release"
)

// Command returns the command. now returns the time that ends of support are compared with.
func Command(now func() time.Time) *cobra.Command {
	var (
		k      kubeflags.Flags
		output cli.Output
	)
	cmd := &cobra.Command{
		Use:   "versions",
		Short: "List the release lines that can be installed, and what the cluster runs",
		Long: `List the lines of Tekton Pipelines that are compiled in, each with the Triggers release
that fits it, the versions of Kubernetes that it runs on, and the end of its support. No
release of these lines is known that fails on a newer Kubernetes.

If a cluster answers, say what it runs, who installed that, which line it is, and which
upgrade is due. Without a cluster only the lines are listed.`,
		Example: `  tekgate versions
  tekgate versions -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			r, err := read(now())
			if err != nil {
				return err
			}
			r.ask(cmd.Context(), &k, cli.StreamsOf(cmd), now())
			return output.Print(cmd.OutOrStdout(), r, r.print)
		},
	}
	k.Add(cmd)
	output.Table(cmd)
	return cmd
}

// report is what the command prints.
type report struct {
	Lines []line `json:"lines"`
	// Cluster is nil if no cluster answers.
	Cluster *cluster `json:"cluster,omitempty"`
}

// Names returns the names of the lines.
func (r *report) Names() []string {
	names := make([]string, 0, len(r.Lines))
	for _, l := range r.Lines {
		names = append(names, l.Name)
	}
	return names
}

type line struct {
	Name     string `json:"name"`
	Pipeline string `json:"pipeline"`
	Triggers string `json:"triggers"`
	// Kubernetes is the lowest version that the line starts on.
	Kubernetes string `json:"kubernetes"`
	Released   string `json:"released"`
	EndOfLife  string `json:"endOfLife"`
	Ended      bool   `json:"ended"`
	// Default says that an install without --version takes this line.
	Default bool `json:"default,omitempty"`
}

type cluster struct {
	upgrade.Facts
	// Line is the name of the line that runs; "" if that line is not compiled in.
	Line    string `json:"line,omitempty"`
	Upgrade string `json:"upgrade,omitempty"` // the command, if one is due
	Reason  string `json:"reason,omitempty"`  // why it is due
}

func read(now time.Time) (*report, error) {
	r := &report{}
	for i, l := range lines.Lines {
		objects, err := release.EmbeddedLine(l)
		if err != nil {
			return nil, err
		}
		minimum := installer.KubernetesMinimum(installer.Release{
			Objects: objects, Versions: installer.Versions{Pipeline: l.Pipeline, Triggers: l.Triggers},
		})
		r.Lines = append(r.Lines, line{
			Name: l.Name, Pipeline: l.Pipeline, Triggers: l.Triggers, Kubernetes: minimum,
			Released: l.Released, EndOfLife: l.EndOfLife, Ended: l.Ended(now), Default: i == 0,
		})
	}
	return r, nil
}

// ask adds what the cluster runs. If it does not answer, that is reported only to a user who
// has named it, or whose KUBECONFIG names a file that does not exist.
func (r *report) ask(ctx context.Context, k *kubeflags.Flags, s cli.Streams, now time.Time) {
	facts, err := facts(ctx, k)
	if err != nil {
		var missing *kubeflags.MissingError
		if !k.Empty() || errors.As(err, &missing) {
			s.Warn(fmt.Errorf("the cluster is left out: %w", err))
		}
		return
	}
	r.Cluster = &cluster{Facts: facts}
	if l, ok := lines.LineOf(facts.Running.Pipeline); ok {
		r.Cluster.Line = l.Name
	}
	r.Cluster.Upgrade, r.Cluster.Reason = due(facts.Running, now)
}

func facts(ctx context.Context, k *kubeflags.Flags) (upgrade.Facts, error) {
	config, err := k.RESTConfig()
	if err != nil {
		return upgrade.Facts{}, err
	}
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return upgrade.Facts{}, err
	}
	return upgrade.ReadRunning(ctx, cluster)
}

func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "LINE\tPIPELINES\tTRIGGERS\tKUBERNETES\tRELEASED\tEND OF LIFE\t")
	for _, l := range r.Lines {
		end, note := l.EndOfLife, ""
		if l.Ended {
			end += " (ended)"
		}
		if l.Default {
			note = "default"
		}
		if r.Cluster != nil && r.Cluster.Line == l.Name {
			note = join(note, "installed")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s or newer\t%s\t%s\t%s\n", l.Name, l.Pipeline, l.Triggers, l.Kubernetes,
			l.Released, end, note)
	}
	if err := w.Flush(); err != nil || r.Cluster == nil {
		return err
	}
	return r.Cluster.print(out)
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

func (c *cluster) print(out io.Writer) error {
	if c.Running.IsZero() {
		_, err := fmt.Fprintf(out, "\nThe cluster (Kubernetes %s) runs no Tekton.\n", c.Server)
		return err
	}
	what := "of the line " + c.Line
	if c.Line == "" {
		what = "of none of these lines"
	}
	fmt.Fprintf(out, "\nThe cluster (Kubernetes %s) runs %s, %s, installed by %s.\n", c.Server, c.Running, what,
		cli.OrDash(c.By))
	if c.Upgrade == "" {
		_, err := fmt.Fprintln(out, "No upgrade is due.")
		return err
	}
	_, err := fmt.Fprintf(out, "%s: `%s --dry-run` plans the upgrade.\n", c.Reason, c.Upgrade)
	return err
}
