package main

import (
	"fmt"
	"io"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/installer"
)

func installCommand() *cobra.Command {
	var (
		s source
		k kube
	)
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install Tekton Pipelines, Triggers and Tekgate from a mirror",
		Long: `Install, or bring up to date, Tekton Pipelines, Tekton Triggers and Tekgate
itself, with every image reference rewritten to a mirror: those of containers
and those that Tekton's controllers get as arguments. Nothing is applied while
any reference to a registry without a mirror is left.

Objects are applied server-side in stages. An install that was interrupted is
run again and goes on; one that is run twice changes nothing.`,
		Example: `  # from DaoCloud's public mirror
  tekgate install --mirror daocloud

  # from a registry that holds pipeline-controller:v1.15.0, triggers-webhook:v0.37.0, …
  tekgate install --mirror registry.example.com/tekton

  # with rules of one's own, and another release
  tekgate install --config tekgate.yaml --pipeline-manifest release.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return install(cmd, &s, &k)
		},
	}
	s.flags(cmd)
	k.flags(cmd)
	return cmd
}

func install(cmd *cobra.Command, s *source, k *kube) error {
	ctx, talk := cmd.Context(), cmd.ErrOrStderr()
	started := time.Now()
	config, err := k.restConfig()
	if err != nil {
		return err
	}
	r, err := s.render(ctx, cmd.InOrStdin(), talk)
	if err != nil {
		return err
	}
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return err
	}
	done, err := cluster.Apply(ctx, installer.Stages(r.objects), progress{out: talk})
	if err != nil {
		return err
	}
	actions := done.ToGroupedMap()
	fmt.Fprintf(talk, "%d objects in %s: %d created, %d configured, %d unchanged\n", len(done.Entries), time.Since(started).Round(100*time.Millisecond),
		len(actions[ssa.CreatedAction]), len(actions[ssa.ConfiguredAction]), len(actions[ssa.UnchangedAction]))
	return nil
}

// progress prints a line per stage and per object.
type progress struct{ out io.Writer }

func (p progress) Stage(number, of int, stage installer.Stage) {
	fmt.Fprintf(p.out, "stage %d of %d: %s, %d objects\n", number, of, stage.Doc, len(stage.Objects))
}

func (p progress) Changed(entry ssa.ChangeSetEntry) {
	fmt.Fprintf(p.out, "  %s %s\n", entry.Subject, entry.Action)
}
