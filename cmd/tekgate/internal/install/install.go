// Package install installs or upgrades Tekton and Tekgate.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/display"
)

// installation has the flags of an install.
type installation struct {
	target release.Target
	dryRun bool
	yes    bool
	output cli.Output
}

// Command returns the command.
func Command() *cobra.Command {
	var i installation
	cmd := &cobra.Command{
		Use:     "install",
		Aliases: []string{"upgrade"},
		Short:   "Install or upgrade Tekton Pipelines, Triggers and Tekgate from a mirror",
		Long: `Install, or bring up to date, Tekton Pipelines, Tekton Triggers and Tekgate
itself, with every image reference rewritten to a mirror: those of containers
and those that Tekton's controllers get as arguments.

Nothing is written before all of this is known to be well: every reference has a
mirror, the cluster's version fits the release, you have the permissions, no
other tool owns the objects, the mirror holds the images, and the server accepts
every object in a dry run.

Then objects are applied server-side in stages, each of which waits for what the
next one needs. An install that was interrupted is run again and goes on; one
that is run twice changes nothing. An upgrade is an install: what you changed in
Tekton's ConfigMaps is kept and listed, definitions and namespaces are never
removed, and whatever else the new release no longer has is.

The servers get their certificates from cert-manager where the cluster serves it,
and sign their own elsewhere; the section certificates of the configuration decides
otherwise. From one to the other no request is lost, which takes some minutes.

A --ca-file is trusted when the mirror is asked, and also given to Tekton's
controllers, which ask it themselves, in their ConfigMap config-registry-cert.`,
		Example: `  # from DaoCloud's public mirror
  tekgate install --mirror daocloud

  # from a registry that holds pipeline-controller:v1.15.0, triggers-webhook:v0.37.0, …
  tekgate install --mirror registry.example.com/tekton

  # with rules of one's own, and another release
  tekgate install --config tekgate.yaml --pipeline-manifest release.yaml

  # what would an upgrade do?
  tekgate upgrade --mirror daocloud --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return i.run(cmd.Context(), cli.StreamsOf(cmd)) },
	}
	i.flags(cmd)
	return cmd
}

func (i *installation) flags(cmd *cobra.Command) {
	i.target.Flags(cmd,
		"`SOURCE` of the manifests that the cluster was installed from, where Tekgate did not install it: what differs from them in ConfigMaps is yours (repeatable)")
	i.target.Source.Registries.Flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "check everything and say what would be done, without doing it")
	f.BoolVar(&i.target.Options.Force, "force", false,
		"go on in spite of failed checks, and make Deployments anew that cannot be changed in place")
	f.BoolVar(&i.target.Options.Wait, "wait", true, "wait until what was applied runs and answers")
	f.DurationVar(&i.target.Options.Timeout, "timeout", 5*time.Minute, "how long each stage may take to come up")
	f.BoolVar(&i.target.SkipProbe, "skip-probe", false, "do not ask the mirror whether it holds the images")
	i.output.Report(cmd)
	f.BoolVarP(&i.yes, "yes", "y", false, "do not ask before removing objects that the new release no longer has")
}

func (i *installation) run(ctx context.Context, streams cli.Streams) error {
	if err := i.output.Check(); err != nil {
		return err
	}
	result := &report{DryRun: i.dryRun, began: time.Now()}
	s := streams
	err := i.install(ctx, s, result)
	if !i.output.JSON() {
		return err
	}
	return errors.Join(err, result.print(s.Out, err))
}

func (i *installation) install(ctx context.Context, s cli.Streams, result *report) error {
	cluster, rendered, err := i.target.Connect(ctx, s)
	if err != nil {
		return err
	}
	plan, err := cluster.Plan(ctx, rendered, i.target.Options)
	result.plan(plan)
	sayPlan(s.ErrOut, plan, i.target.Options.Force)
	if err != nil {
		return err
	}
	if i.dryRun {
		sayDryRun(s.ErrOut, plan)
		return nil
	}
	if err := i.confirm(s, plan); err != nil {
		return err
	}
	progress := &progress{StatusLine: cli.NewStatusLine(s.ErrOut)}
	done, err := cluster.Apply(ctx, plan, i.target.Options, progress)
	progress.Clear()
	result.done(done)
	if err != nil {
		return err
	}
	actions := done.ToGroupedMap()
	fmt.Fprintf(s.ErrOut, "%d objects in %s: %d created, %d configured, %d unchanged%s\n", len(done.Entries),
		time.Since(result.began).Round(100*time.Millisecond),
		len(actions[ssa.CreatedAction]), len(actions[ssa.ConfiguredAction]), len(actions[ssa.UnchangedAction]),
		deleted(len(actions[ssa.DeletedAction])))
	return nil
}

func deleted(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d deleted", n)
}

// confirm asks before objects are removed, where there is somebody to ask.
func (i *installation) confirm(s cli.Streams, plan *installer.Plan) error {
	if i.yes || len(plan.Prune) == 0 || !s.CanAsk() {
		return nil
	}
	answer := strings.ToLower(s.Ask(fmt.Sprintf("Remove these %d objects and go on? [y/N] ", len(plan.Prune))))
	if answer != "y" && answer != "yes" {
		return errors.New("nothing was changed, since you did not say yes")
	}
	return nil
}

// sayPlan says what people should know before the first write.
func sayPlan(errOut io.Writer, plan *installer.Plan, force bool) {
	for _, f := range plan.Findings {
		switch {
		case f.Fatal && force:
			fmt.Fprintf(errOut, "FORCED in spite of %s\n", f)
		case !f.Fatal:
			fmt.Fprintf(errOut, "warning: %s\n", f)
		}
	}
	for _, note := range plan.Notes {
		fmt.Fprintf(errOut, "note: %s\n", note)
	}
	for _, m := range plan.Merges {
		fmt.Fprintf(errOut, "ConfigMap %s: %s\n", m.ConfigMap, release.DescribeMerge(m))
	}
	for _, obj := range plan.Prune {
		fmt.Fprintf(errOut, "no longer part of the release, and removed: %s %s\n", obj.GetKind(),
			strings.TrimPrefix(obj.GetNamespace()+"/"+obj.GetName(), "/"))
	}
}

func sayDryRun(errOut io.Writer, plan *installer.Plan) {
	for number, stage := range plan.Stages {
		fmt.Fprintf(errOut, "stage %d of %d: %s, %d objects\n", number+1, len(plan.Stages), stage.Doc,
			len(stage.Objects))
	}
	fmt.Fprintf(errOut, "dry run, nothing was changed: %d would be created, %d configured, %d unchanged%s\n",
		plan.Count(ssa.CreatedAction), plan.Count(ssa.ConfiguredAction), plan.Count(ssa.UnchangedAction),
		deleted(len(plan.Prune)))
}

// report is what `-o json` prints.
type report struct {
	DryRun   bool                   `json:"dryRun"`
	From     *installer.Versions    `json:"from,omitempty"`
	To       installer.Versions     `json:"to"`
	Findings []installer.Finding    `json:"findings,omitempty"`
	Notes    []string               `json:"notes,omitempty"`
	Merges   []installer.Merge      `json:"configuration,omitempty"`
	Objects  []installer.Difference `json:"objects,omitempty"`
	Seconds  float64                `json:"seconds"`
	Error    string                 `json:"error,omitempty"`

	began time.Time
}

func (r *report) plan(plan *installer.Plan) {
	if plan == nil {
		return
	}
	if plan.Previous != nil {
		r.From = &plan.Previous.Versions
	}
	r.To, r.Findings, r.Notes, r.Merges = plan.Release.Versions, plan.Findings, plan.Notes, plan.Merges
	if r.DryRun {
		r.Objects, _ = plan.Differences()
	}
}

func (r *report) done(done *ssa.ChangeSet) {
	for _, entry := range done.Entries {
		r.Objects = append(r.Objects, installer.Difference{Subject: entry.Subject, Action: entry.Action})
	}
}

func (r *report) print(out io.Writer, err error) error {
	r.Seconds = time.Since(r.began).Seconds()
	if err != nil {
		r.Error = err.Error()
	}
	return display.JSON(out, r)
}
