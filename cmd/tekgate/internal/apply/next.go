package apply

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/installer"
)

// stopped adds the commands to go on with to an error of the plan or of the apply.
func (a *Apply) stopped(cmd *cobra.Command, options *installer.Options, plan *installer.Plan, err error,
	result *report) error {
	if a.dryRun {
		return err
	}
	next := cli.Next{}
	next.Resume, next.Notes = cli.CommandLine(cmd)
	var failed *installer.StoppedError
	if errors.As(err, &failed) && failed.Changed {
		next.Changed = true
		a.goBack(cmd, options, plan, &next)
	}
	result.Next = next
	return cli.Stopped(err, next)
}

// goBack adds the way back after an apply that changed something.
func (a *Apply) goBack(cmd *cobra.Command, options *installer.Options, plan *installer.Plan, next *cli.Next) {
	rollback := cli.Sibling(cmd, "rollback", append(kubeflags.Names(), "wait", "timeout")...)
	before := plan.Previous
	switch {
	case options.Returning:
		// Without --resume a rollback now returns to the last release that is whole.
		next.Resume, next.Notes = cli.CommandLine(cmd, "resume")
		next.Resume += " --resume"
		next.Rollback = rollback
	case cmd.Name() == "rollback":
		next.Notes = append(next.Notes,
			"to go on to the release that was being installed instead, run its install command again")
	case before != nil && len(before.Objects) > 0:
		next.Rollback = rollback
	case plan.Adopts():
		next.Notes = append(next.Notes,
			"to roll back, apply the manifests of the earlier installation again: Tekgate has not installed it, and does not know them")
	default:
		next.Rollback = cli.Sibling(cmd, "uninstall", kubeflags.Names()...)
	}
}
