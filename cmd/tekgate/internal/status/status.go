// Package status reports what is installed, and how much of it runs.
package status

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/health"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/installed"
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
			s, err := read(cmd.Context(), &k)
			if err != nil {
				return output.Fail(cmd.OutOrStdout(), err)
			}
			return output.Print(cmd.OutOrStdout(), found{s}, func(out io.Writer) error { return printStatus(out, s) })
		},
	}
	k.Add(cmd)
	output.Table(cmd)
	return cmd
}

func read(ctx context.Context, k *kubeflags.Flags) (*installed.Status, error) {
	cluster, err := k.Live()
	if err != nil {
		return nil, err
	}
	return health.Status(ctx, cluster)
}

// found is the status as programs read it.
type found struct{ *installed.Status }

// Names returns the names of the objects that it has rows for.
func (f found) Names() []string {
	var names []string
	for _, d := range f.Deployments {
		names = append(names, cli.ObjectName("apps/v1", "Deployment", d.Name))
	}
	for _, w := range f.Webhooks { // webhooks of one configuration follow each other
		kind, name, _ := strings.Cut(w.Configuration, "/")
		names = append(names, cli.ObjectName("admissionregistration.k8s.io/v1", kind, name))
	}
	for _, i := range f.ClusterInterceptors {
		names = append(names, cli.ObjectName("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", i.Name))
	}
	for _, l := range f.EventListeners {
		names = append(names, cli.ObjectName("triggers.tekton.dev/v1beta1", "EventListener", l.Name))
	}
	return slices.Compact(names)
}

// states are sentences for people.
var states = map[string]string{
	installed.Absent:      "nothing is installed: run `tekgate install`",
	installed.Complete:    "the last install ended well",
	installed.Interrupted: "the last install or uninstall was interrupted: run it again to go on, or `tekgate rollback`",
	installed.Unknown:     "Tekton is here, but not by this Tekgate: there is no inventory",
}

// sentence is the state for people, with what to do.
func sentence(s *installed.Status) string {
	switch {
	case s.State == installed.Absent && len(s.Terminating) > 0:
		return "nothing is installed, and namespaces of an earlier installation are being terminated: install when they are gone"
	case s.State == installed.Interrupted && !s.Earlier:
		return "the first install was interrupted: run it again to go on, or `tekgate uninstall` to remove what it applied"
	}
	return states[s.State]
}

func printStatus(out io.Writer, s *installed.Status) error {
	fmt.Fprintln(out, sentence(s))
	for _, namespace := range s.Terminating {
		fmt.Fprintf(out, "being terminated: namespace %s\n", namespace)
	}
	if len(s.Terminating) > 0 {
		fmt.Fprintln(out, installer.WaitForNamespaces)
	}
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
