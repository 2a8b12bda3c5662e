// Package uninstall removes Tekton and Tekgate from a cluster.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/uninstall"
	"github.com/tekgate/tekgate/manifests"
)

// uninstallFlags are what the command line says.
type uninstallFlags struct {
	kube       kubeflags.Flags
	purge      bool
	yes        bool
	dryRun     bool
	finalizers bool
	save       string
	timeout    time.Duration
	output     cli.Output
}

// Command returns the command.
func Command() *cobra.Command {
	var u uninstallFlags
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Take Tekton and Tekgate away, and keep what users made",
		Long: `Take away what install brought: webhooks first, so that none is left that refuses
changes without a server, then workloads, permissions and configuration.

What users made stays: the definitions with all objects of their kinds,
ConfigMaps that somebody changed, and every namespace that holds anything else.
With --purge these go too, after a list of what would die and a question. What
was installed without Tekgate is not touched. An uninstall that was interrupted
is run again and goes on.`,
		Example: `  # what would happen
  tekgate uninstall --dry-run

  # all of it, with a copy of what users made
  tekgate uninstall --purge --save users-objects.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return u.run(cmd, cli.StreamsOf(cmd)) },
	}
	u.kube.Add(cmd)
	u.output.Report(cmd)
	f := cmd.Flags()
	f.BoolVar(&u.purge, "purge", false,
		"also remove the definitions, and with them every Task, run and EventListener of all users")
	f.BoolVarP(&u.yes, "yes", "y", false, "do not ask before a purge")
	f.BoolVar(&u.dryRun, "dry-run", false, "say what would be removed and kept, and remove nothing")
	f.BoolVar(&u.finalizers, "remove-finalizers", false,
		"in a purge, take finalizers off users' objects whose controller does not")
	f.StringVar(&u.save, "save", "", "write users' objects that a purge removes to `FILE` first (Secrets are left out)")
	f.DurationVar(&u.timeout, "timeout", 2*time.Minute, "how long each kind of object may take to go")
	return cmd
}

func (u *uninstallFlags) run(cmd *cobra.Command, streams cli.Streams) error {
	if err := u.output.Check(); err != nil {
		return err
	}
	result := &report{DryRun: u.dryRun, Purge: u.purge, Objects: []string{}, Users: []usersReport{},
		Strays: []string{}, Kept: []kept{}}
	return u.print(streams.Out, result, u.remove(cmd, streams, result))
}

// remove plans the removal, which it notes in the report, and does it.
func (u *uninstallFlags) remove(cmd *cobra.Command, streams cli.Streams, result *report) error {
	ctx, errOut := cmd.Context(), streams.ErrOut
	if !u.purge && (u.finalizers || u.save != "") {
		return errors.New("--remove-finalizers and --save go with --purge: without it nothing of users' is removed")
	}
	cluster, options, err := u.connect(ctx)
	if err != nil {
		return err
	}
	removal, err := uninstall.Plan(ctx, cluster.Client(), options)
	if err != nil {
		return err
	}
	result.plan(removal)
	sayRemoval(errOut, removal, u.purge)
	switch {
	case removal.Empty():
		return nil
	case len(removal.Denied) > 0:
		return fmt.Errorf("nothing was removed, since you may not %s: uninstall %s", strings.Join(removal.Denied, ", "),
			installer.AsAdministrator)
	case u.dryRun:
		fmt.Fprintln(errOut, "nothing was removed: this was a dry run")
		return nil
	}
	if err := u.confirm(streams); err != nil {
		return err
	}
	if u.save != "" {
		if err := save(ctx, removal, u.save, errOut); err != nil {
			return err
		}
	}
	if err := removal.Run(ctx, removing{errOut}); err != nil {
		return u.stopped(cmd, err)
	}
	fmt.Fprintln(errOut, "uninstalled")
	return nil
}

// stopped adds the commands to go on with to an error of the removal.
func (u *uninstallFlags) stopped(cmd *cobra.Command, err error) error {
	var failed *uninstall.StoppedError
	next := cli.Next{Changed: errors.As(err, &failed) && failed.Changed}
	// The file of --save exists, and an uninstall does not write over it.
	next.Resume, next.Notes = cli.CommandLine(cmd, "save")
	switch {
	case !next.Changed && u.save != "":
		next.Notes = append(next.Notes, "users' objects are saved in "+u.save+" already")
	case next.Changed && failed.Recorded:
		next.Rollback = cli.Sibling(cmd, "rollback", kubeflags.Names()...)
	case next.Changed:
		next.Notes = append(next.Notes,
			"to roll back, run your install command again: the cluster no longer records what was installed")
	}
	if next.Changed && u.purge {
		next.Notes = append(next.Notes, u.lost())
	}
	return cli.Stopped(err, next)
}

// lost explains what a rollback of a purge does not bring back.
func (u *uninstallFlags) lost() string {
	if u.save == "" {
		return "users' objects that are removed do not come back"
	}
	return "a rollback does not bring back users' objects: apply them from " + u.save + " after it"
}

func (u *uninstallFlags) connect(ctx context.Context) (*installer.Cluster, uninstall.Options, error) {
	options := uninstall.Options{Purge: u.purge, Timeout: u.timeout, RemoveFinalizers: u.finalizers}
	config, err := u.kube.RESTConfig()
	if err != nil {
		return nil, options, err
	}
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return nil, options, err
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, options, fmt.Errorf("connecting to the cluster: %w", err)
	}
	options.Resources = d.ServerPreferredNamespacedResources
	options.Embedded, err = embeddedObjects()
	return cluster, options, err
}

// embeddedObjects returns all that an install without other manifests applies, of each line.
func embeddedObjects() ([]*unstructured.Unstructured, error) {
	objects, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	certificates, err := manifests.Certificates()
	if err != nil {
		return nil, err
	}
	policies, err := manifests.NetworkPolicies()
	if err != nil {
		return nil, err
	}
	tekton, err := release.AllEmbedded()
	if err != nil {
		return nil, err
	}
	return slices.Concat(objects, certificates, policies, tekton), nil
}

// sayRemoval prints what goes and what stays.
func sayRemoval(errOut io.Writer, r *uninstall.Removal, purge bool) {
	if r.Empty() {
		fmt.Fprintln(errOut, "there is nothing to remove: Tekgate has installed nothing here, or it is uninstalled")
	}
	if r.Inventory == nil && !r.Empty() {
		fmt.Fprintln(errOut,
			"the cluster has no inventory: going by the embedded release, and by what Tekgate has applied of it")
	}
	for _, stage := range r.Stages {
		fmt.Fprintf(errOut, "%d objects go: %s\n", len(stage.Objects), stage.Doc)
	}
	sayUsers(errOut, r, purge)
	if len(r.Aggregated) > 0 {
		fmt.Fprintf(errOut,
			"who has the cluster's roles admin, edit or view loses the rights to Tekton's objects that %s gave them\n",
			strings.Join(r.Aggregated, " and "))
	}
	for _, kept := range r.Kept {
		fmt.Fprintf(errOut, "%s stays: %s\n", kept.Subject, kept.Why)
	}
}

// sayUsers prints what becomes of the objects that users made.
func sayUsers(errOut io.Writer, r *uninstall.Removal, purge bool) {
	fate := "stay"
	if purge {
		fate = "DIE"
	}
	for _, users := range r.Users {
		if users.Unknown != "" {
			fmt.Fprintf(errOut, "all %s objects of users %s; they cannot be listed: %s\n", users.Kind.Kind, fate,
				users.Unknown)
			continue
		}
		fmt.Fprintf(errOut, "%d %s objects of users %s: %s\n", len(users.Names), users.Kind.Kind, fate,
			cli.Several(users.Names))
	}
	if len(r.Users) > 0 && !purge {
		fmt.Fprintln(errOut,
			"their definitions stay too; EventListeners keep their Pods, and what is stored in an older version can be read again only after an install")
	}
	if len(r.Strays) > 0 {
		fmt.Fprintf(errOut, "%d objects in namespaces that go DIE: %s\n", len(r.Strays), cli.Several(r.Strays))
	}
	for _, e := range r.Edited {
		if purge {
			fmt.Fprintf(errOut, "ConfigMap/%s/%s DIES with what somebody changed: %s\n", e.Object.GetNamespace(),
				e.Object.GetName(), strings.Join(e.Keys, ", "))
		}
	}
}

// confirm asks before a purge. The answer has to be a whole word, for what dies
// cannot be brought back.
func (u *uninstallFlags) confirm(s cli.Streams) error {
	if !u.purge || u.yes {
		return nil
	}
	if !s.CanAsk() {
		return errors.New(
			"a purge asks before it starts, and there is no terminal to ask on: pass --yes if the list above is what you want")
	}
	if s.Ask("Write \"purge\" to remove all of this for good: ") != "purge" {
		return errors.New("nothing was removed: the answer was not \"purge\"")
	}
	return nil
}

// save writes what users made to a file that only the user may read.
func save(ctx context.Context, r *uninstall.Removal, path string, errOut io.Writer) error {
	saved, leftOut, err := r.Backup(ctx)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("saving users' objects, so nothing was removed: %w", err)
	}
	defer file.Close()
	if err := errors.Join(objects.PrintYAML(file, saved), file.Sync()); err != nil {
		return fmt.Errorf("saving users' objects to %s, so nothing was removed: %w", path, err)
	}
	fmt.Fprintf(errOut, "%d objects are saved in %s\n", len(saved), path)
	if len(leftOut) > 0 {
		fmt.Fprintf(errOut, "not saved: %s\n", cli.Several(leftOut))
	}
	return nil
}

// removing prints a line per stage and per object.
type removing struct{ out io.Writer }

func (r removing) Stage(doc string, objects int) {
	fmt.Fprintf(r.out, "removing %s: %d objects\n", doc, objects)
}

func (r removing) Removed(subject string) { fmt.Fprintf(r.out, "  %s deleted\n", subject) }
