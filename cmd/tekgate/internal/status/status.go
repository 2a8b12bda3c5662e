// Package status reports what is installed, and how much of it runs.
package status

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/health"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/installer/installed"
	"github.com/tekgate/tekgate/internal/display"
)

// Command returns the command.
func Command() *cobra.Command {
	var (
		k      kubeflags.Flags
		output cli.Output
	)
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what is installed, and how much of it is up",
		Long: `Say which versions are installed, from which registries, which Deployments are
ready, whether webhooks have their caBundles, and which image each EventListener
runs. After an install that was interrupted, say what it left undone.

It reports and does not judge: that is for ` + "`tekgate check`" + `.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			cluster, err := k.Live()
			if err != nil {
				return err
			}
			s, err := health.Status(cmd.Context(), cluster)
			switch {
			case err != nil:
				return err
			case output.JSON():
				return display.JSON(cmd.OutOrStdout(), s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		},
	}
	k.Add(cmd)
	output.TableOrJSON(cmd)
	return cmd
}

// states are sentences for people.
var states = map[string]string{
	installed.Absent:      "nothing is installed: run `tekgate install`",
	installed.Complete:    "the last install ended well",
	installed.Interrupted: "the last install or uninstall was interrupted: run it again to go on, or `tekgate rollback`",
	installed.Unknown:     "Tekton is here, but not by this Tekgate: there is no inventory",
}

func printStatus(out io.Writer, s *installed.Status) error {
	fmt.Fprintln(out, states[s.State])
	if s.State == installed.Absent {
		return nil
	}
	if len(s.Missing) > 0 {
		fmt.Fprintf(out, "%d objects are missing: %s\n", len(s.Missing), cli.Several(s.Missing))
	}
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintf(w, "\nCOMPONENT\tVERSION\n")
	for _, c := range s.Versions.Rows() {
		fmt.Fprintf(w, "%s\t%s\n", c[0], cli.OrDash(c[1]))
	}
	fmt.Fprintf(w, "\nREGISTRY\tIMAGES\n")
	for _, m := range s.Mirrors {
		fmt.Fprintf(w, "%s\t%d\n", m.Host, m.Images)
	}
	fmt.Fprintf(w, "\nDEPLOYMENT\tVERSION\tREADY\n")
	for _, d := range s.Deployments {
		fmt.Fprintf(w, "%s/%s\t%s\t%d/%d\n", d.Namespace, d.Name, cli.OrDash(d.Version), d.Ready, d.Desired)
	}
	fmt.Fprintf(w, "\nWEBHOOK\tFAILURE POLICY\tRULES\tCABUNDLE\n")
	for _, h := range s.Webhooks {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", h.Name, h.FailurePolicy, h.Rules, yes(h.CABundle))
	}
	fmt.Fprintf(w, "\nCLUSTERINTERCEPTOR\tTLS\tCABUNDLE\n")
	for _, i := range s.ClusterInterceptors {
		fmt.Fprintf(w, "%s\t%s\t%s\n", i.Name, yes(i.TLS), yes(i.CABundle))
	}
	printListeners(w, s.EventListeners)
	return w.Flush()
}

func printListeners(w io.Writer, listeners []installed.EventListener) {
	if len(listeners) == 0 {
		return
	}
	fmt.Fprintf(w, "\nEVENTLISTENER\tREADY\tIMAGE\tCURRENT\n")
	for _, l := range listeners {
		fmt.Fprintf(w, "%s/%s\t%d/%d\t%s\t%s\n", l.Namespace, l.Name, l.Ready, l.Desired, l.Image, yes(l.Current))
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
