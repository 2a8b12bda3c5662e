// Package apply plans a release, shows the plan, and applies it.
package apply

import (
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
)

// Apply has the flags of the commands that write a release to a cluster.
type Apply struct {
	dryRun bool
	yes    bool
	output cli.Output
	hops   *hops // nil for a single run
}

// Flags adds the flags to a command. Some of them set options.
func (a *Apply) Flags(cmd *cobra.Command, options *installer.Options) {
	f := cmd.Flags()
	f.BoolVar(&a.dryRun, "dry-run", false, "check everything and say what would be done, without doing it")
	f.BoolVar(&options.Force, "force", false,
		"continue despite failed checks, and recreate Deployments that cannot be changed in place")
	f.BoolVar(&options.Wait, "wait", true, "wait until what was applied runs and answers")
	f.DurationVar(&options.Timeout, "timeout", 5*time.Minute, "how long each stage may take to come up")
	a.output.Report(cmd)
	f.BoolVarP(&a.yes, "yes", "y", false, "do not ask before removing objects that the new release no longer has, or before changing the release line without --version")
}

// DryRun reports whether nothing is to be written.
func (a *Apply) DryRun() bool { return a.dryRun }

// Connect returns the cluster and the release to apply to it. It may change the options.
type Connect func() (*installer.Cluster, installer.Release, error)

// Run plans and applies the release.
func (a *Apply) Run(cmd *cobra.Command, options *installer.Options, connect Connect) error {
	if err := a.output.Check(); err != nil {
		return err
	}
	s := cli.StreamsOf(cmd)
	result := &report{DryRun: a.dryRun, began: time.Now()}
	err := a.apply(cmd, s, options, connect, result)
	if !a.output.ForPrograms() {
		return err
	}
	result.end(err)
	if a.hops != nil {
		a.hops.Hops = append(a.hops.Hops, result)
		return err
	}
	return errors.Join(err, a.output.Print(s.Out, result, nil))
}

// hops is what --output prints of several runs.
type hops struct {
	// Planned are the versions of Pipelines that lead to the target, in their order.
	Planned []string  `json:"planned,omitempty"`
	Hops    []*report `json:"hops,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// RunHops calls run, which plans a way and calls Run for each hop. --output prints one document for
// all of them.
func (a *Apply) RunHops(cmd *cobra.Command, run func(planned func(versions []string)) error) error {
	if err := a.output.Check(); err != nil {
		return err
	}
	a.hops = &hops{}
	err := run(func(versions []string) { a.hops.Planned = versions })
	if !a.output.ForPrograms() {
		return err
	}
	if err != nil {
		a.hops.Error = err.Error()
	}
	return errors.Join(err, a.output.Print(cli.StreamsOf(cmd).Out, a.hops, nil))
}

func (a *Apply) apply(cmd *cobra.Command, s cli.Streams, options *installer.Options, connect Connect,
	result *report) error {
	ctx := cmd.Context()
	cluster, rendered, err := connect()
	if err != nil {
		return err
	}
	plan, err := cluster.Plan(ctx, rendered, *options)
	result.plan(plan)
	sayPlan(s.ErrOut, plan, options.Force)
	if err != nil {
		return a.stopped(cmd, options, plan, err, result)
	}
	if a.dryRun {
		sayDryRun(s.ErrOut, plan)
		return nil
	}
	if err := a.confirm(s, plan, options); err != nil {
		return err
	}
	progress := &progress{StatusLine: cli.NewStatusLine(s.ErrOut)}
	done, err := cluster.Apply(ctx, plan, *options, progress)
	progress.Clear()
	result.done(done)
	if err != nil {
		return a.stopped(cmd, options, plan, err, result)
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

// confirm asks on a terminal before objects are removed, and before Tekton changes a release line
// that the user did not choose.
func (a *Apply) confirm(s cli.Streams, plan *installer.Plan, options *installer.Options) error {
	if a.yes || !s.CanAsk() {
		return nil
	}
	if from := plan.LeavesLine(); from != "" && options.LineImplied {
		question := fmt.Sprintf("Tekton Pipelines %s runs, and no --version was given. Upgrade to %s? [y/N] ", from,
			plan.Release.Versions.Pipeline)
		if !agrees(s, question) {
			return fmt.Errorf("aborted; nothing was changed: pass --version %s to stay on this line", from)
		}
	}
	if len(plan.Prune) > 0 && !agrees(s, fmt.Sprintf("Remove these %d objects and go on? [y/N] ", len(plan.Prune))) {
		return errors.New("nothing was changed, since you did not say yes")
	}
	return nil
}

func agrees(s cli.Streams, question string) bool {
	answer := strings.ToLower(s.Ask(question))
	return answer == "y" || answer == "yes"
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

// report is what --output prints.
type report struct {
	DryRun   bool                   `json:"dryRun"`
	From     *installer.Versions    `json:"from,omitempty"`
	To       installer.Versions     `json:"to"`
	Findings []installer.Finding    `json:"findings,omitempty"`
	Notes    []string               `json:"notes,omitempty"`
	Merges   []installer.Merge      `json:"configuration,omitempty"`
	Losses   []installer.Loss       `json:"lost,omitempty"`
	Objects  []installer.Difference `json:"objects,omitempty"`
	Seconds  float64                `json:"seconds"`
	Error    string                 `json:"error,omitempty"`
	cli.Next                        // after an error

	began time.Time
}

// Names returns the objects that would be or were written, as "kind/namespace/name".
func (r *report) Names() []string {
	names := make([]string, 0, len(r.Objects))
	for _, o := range r.Objects {
		names = append(names, o.Subject)
	}
	return names
}

// Names returns those of all hops.
func (h *hops) Names() []string {
	var names []string
	for _, r := range h.Hops {
		names = append(names, r.Names()...)
	}
	return names
}

func (r *report) plan(plan *installer.Plan) {
	if plan == nil {
		return
	}
	if !plan.Installed.IsZero() {
		r.From = &plan.Installed
	}
	r.Losses = plan.Losses
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

// end notes how the run ended.
func (r *report) end(err error) {
	r.Seconds = time.Since(r.began).Seconds()
	if err != nil {
		r.Error = err.Error()
	}
}
