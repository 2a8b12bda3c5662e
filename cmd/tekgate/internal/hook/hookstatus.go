package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/forge"
)

func unregisterCommand() *cobra.Command {
	var (
		r      registration
		dryRun bool
	)
	cmd := &cobra.Command{
		Use:   "unregister {OWNER/NAME | CLONE-URL}",
		Short: "Delete a repository's webhook for an EventListener",
		Long: `Delete the webhook that has this --url, through the forge's API. Other hooks stay, and so
does the Secret. It is no error if there is no such hook.`,
		Example: `  tekgate hook unregister https://gitee.com/team/app.git --url https://hooks.example.com/app \
    --token-file gitee-token`,
		Args: oneRepository,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.unregister(cmd.Context(), cli.StreamsOf(cmd), args[0], dryRun)
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be deleted, and change nothing")
	return cmd
}

func (r *registration) unregister(ctx context.Context, streams cli.Streams, repository string, dryRun bool) error {
	s, err := r.find(ctx, streams, repository)
	if err != nil {
		return err
	}
	result := &registered{Forge: string(s.repository.Forge), Repository: s.repository.Path(), DryRun: dryRun,
		Hook: hookResult{URL: shown(r.url), Action: "absent"}}
	if s.hook != nil {
		result.Hook.ID, result.Hook.Events, result.Hook.Action = plain(s.hook.ID), s.hook.Events, "deleted"
		if !dryRun {
			if err := s.delete(ctx, s.hook.ID); err != nil {
				return fmt.Errorf("deleting hook %s: %w", plain(s.hook.ID), err)
			}
		}
	}
	hook := struct {
		Forge      string     `json:"forge"`
		Repository string     `json:"repository"`
		DryRun     bool       `json:"dryRun,omitempty"`
		Hook       hookResult `json:"hook"`
	}{result.Forge, result.Repository, dryRun, result.Hook}
	return r.printAs(streams.Out, hook, func(out io.Writer) error {
		would := ""
		if dryRun {
			would = " (dry run)"
		}
		fmt.Fprintf(out, "hook %s of %s at %s for %s: %s%s\n", cli.OrDash(result.Hook.ID), result.Repository,
			s.repository.Forge.Title(), result.Hook.URL, result.Hook.Action, would)
		return nil
	})
}

func statusCommand() *cobra.Command {
	var (
		r     registration
		limit int
	)
	cmd := &cobra.Command{
		Use:   "status {OWNER/NAME | CLONE-URL}",
		Short: "Show a webhook and its last deliveries, at the forge and at the interceptor",
		Long: `Show what the forge reports about the webhook that has this --url and about its last
deliveries, beside what the interceptor decided about the events of the trigger. GitHub and
GitLab (17.3 and newer) list deliveries; Gitee and GitCode report the last one; Gitea,
Forgejo, Gogs and Bitbucket show them on their pages alone.

The exit status is 2 if there is no such hook.`,
		Example: `  tekgate hook status https://github.com/team/app.git --trigger app -n ci \
    --url https://hooks.example.com/app --token-env GITHUB_TOKEN`,
		Args: oneRepository,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.status(cmd.Context(), cli.StreamsOf(cmd), args[0], limit)
		},
	}
	r.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 10, "`NUMBER` of deliveries, the newest")
	return cmd
}

// hookStatus is what status prints.
type hookStatus struct {
	Forge      string           `json:"forge"`
	Repository string           `json:"repository"`
	Hook       forge.Hook       `json:"hook"`
	Deliveries []forge.Delivery `json:"deliveries"` // the forge's
	// Verdicts are the interceptor's; null if it could not be asked.
	Verdicts []deliveries.Delivery `json:"verdicts"`

	unknown string // why the forge lists no deliveries
}

func (r *registration) status(ctx context.Context, streams cli.Streams, repository string, limit int) error {
	s, err := r.find(ctx, streams, repository)
	if err != nil {
		return err
	}
	if s.hook == nil {
		return cli.Exit(2, fmt.Errorf("%s has no hook for %s: `tekgate hook register` makes one", s.repository.Path(),
			shown(r.url)))
	}
	status := &hookStatus{Forge: string(s.repository.Forge), Repository: s.repository.Path(), Hook: *s.hook,
		Deliveries: []forge.Delivery{}}
	status.Hook.URL = shown(s.hook.URL)
	list, err := s.forge.Deliveries(ctx, s.hook.ID)
	switch {
	case errors.Is(err, forge.ErrUnsupported):
		status.unknown = "its API lists none"
	case err != nil:
		status.unknown = err.Error()
	default:
		status.Deliveries = list[:min(len(list), max(limit, 0))]
	}
	source, err := r.replicas.source(ctx, streams)
	if err == nil {
		status.Verdicts, err = source(ctx, deliveries.Filter{Namespace: r.namespace, Trigger: r.trigger, Limit: limit})
	}
	if err != nil {
		streams.Warn(fmt.Sprintf("the interceptor's verdicts cannot be read: %s", plain(err.Error())))
	}
	return r.printAs(streams.Out, status, status.print)
}

func (s *hookStatus) print(out io.Writer) error {
	title := forge.Forge(s.Forge).Title()
	state := "active"
	if !s.Hook.Active {
		state = "NOT ACTIVE"
	}
	fmt.Fprintf(out, "hook %s of %s at %s for %s: %s, events %s\n", plain(s.Hook.ID), s.Repository, title, s.Hook.URL,
		state, plain(strings.Join(s.Hook.Events, ", ")))
	if s.Hook.ContentType != "" && s.Hook.ContentType != "json" {
		fmt.Fprintf(out, "its content type is %s, which the interceptor refuses: `tekgate hook register` sets json\n",
			plain(s.Hook.ContentType))
	}
	if s.Hook.Last != "" {
		fmt.Fprintf(out, "%s reports about the last delivery: %s\n", title, plain(s.Hook.Last))
	}
	fmt.Fprintf(out, "\nDeliveries according to %s:\n", title)
	if s.unknown != "" {
		fmt.Fprintf(out, "unknown: %s\n", plain(s.unknown))
	} else {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "TIME\tEVENT\tSTATUS\tRESULT\tDELIVERY ID\n")
		for _, d := range s.Deliveries {
			at := "-"
			if !d.Time.IsZero() {
				at = d.Time.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", at, cli.OrDash(plain(d.Event)), d.Status,
				cli.OrDash(plain(d.Result)), cli.OrDash(plain(d.ID)))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nVerdicts of the interceptor:\n")
	return printDeliveries(out, s.Verdicts, true)
}
