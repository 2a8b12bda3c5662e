// Package rollback returns an installation to the release before.
package rollback

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/apply"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
)

// rollback has the flags of a rollback.
type rollback struct {
	kube    kubeflags.Flags
	apply   apply.Apply
	options installer.Options
	resume  bool
}

// Command returns the command.
func Command() *cobra.Command {
	var r rollback
	cmd := &cobra.Command{
		Use:   "rollback",
		Short: "Return to the release that was installed before",
		Long: `Apply the release that was installed before the last install changed it, from the
record that install keeps in the cluster: its manifests, its images and its
configuration, with the same checks, dry run and stages as install. After an install
that was interrupted or failed, this is the last release that was installed whole.

What you changed in Tekton's ConfigMaps is kept and listed, definitions and namespaces
are never removed, and what only the newer release has is. A rollback is refused where
the earlier definitions lack the version in which the cluster stores its objects. The
mirror is not asked for the images.

A second rollback returns to the release that the first one left. After a rollback that
was interrupted, --resume goes on with it.`,
		Example: `  # what would a rollback do?
  tekgate rollback --dry-run

  tekgate rollback`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	r.kube.Add(cmd)
	r.apply.Flags(cmd, &r.options)
	cmd.Flags().BoolVar(&r.resume, "resume", false,
		"go on with a rollback that was interrupted, instead of returning to where it began")
	return cmd
}

func (r *rollback) run(cmd *cobra.Command) error {
	r.options.Older = true
	return r.apply.Run(cmd, &r.options, func() (*installer.Cluster, installer.Release, error) {
		return r.connect(cmd.Context(), cli.StreamsOf(cmd))
	})
}

// connect returns the cluster and the release that it records.
func (r *rollback) connect(ctx context.Context, s cli.Streams) (*installer.Cluster, installer.Release, error) {
	var none installer.Release
	config, err := r.kube.RESTConfig()
	if err != nil {
		return nil, none, err
	}
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return nil, none, err
	}
	inventory, err := installer.ReadInventory(ctx, cluster.Client())
	switch {
	case err != nil:
		return nil, none, err
	case inventory == nil:
		return nil, none, errors.New("the cluster records no release: Tekgate has not installed this one, so install the release that you want")
	case inventory.Earlier() == nil && !inventory.Complete:
		return nil, none, errors.New("the first install was interrupted, so the cluster records no earlier release: " +
			"run the install again to go on, or `tekgate uninstall` to remove what it applied")
	case inventory.Earlier() == nil:
		return nil, none, errors.New("the cluster records no earlier release: install the one that you want, with --force if it is older")
	}
	earlier, err := r.target(inventory)
	if err != nil {
		return nil, none, err
	}
	fmt.Fprintf(s.ErrOut, "returning to %s\n", earlier.Versions)
	recorded, err := release.Recorded(earlier)
	return cluster, recorded, err
}

// target returns the recorded release to return to.
func (r *rollback) target(inventory *installer.Inventory) (*installer.Recorded, error) {
	interrupted := !inventory.Complete && inventory.Returning && inventory.Before != nil
	switch {
	case r.resume && !interrupted:
		return nil, errors.New("no rollback was interrupted: leave out --resume to begin one")
	case r.resume:
		r.options.Returning = true
		return inventory.Before, nil
	}
	r.options.Returning = inventory.Complete
	return inventory.Earlier(), nil
}
