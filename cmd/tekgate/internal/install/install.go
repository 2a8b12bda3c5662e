// Package install installs or upgrades Tekton and Tekgate.
package install

import (
	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/apply"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer"
)

// installation has the flags of an install.
type installation struct {
	target release.Target
	apply  apply.Apply
}

// Command returns the command.
func Command() *cobra.Command {
	var i installation
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install or upgrade Tekton Pipelines, Triggers and Tekgate from a mirror",
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
removed, and whatever else the new release no longer has is. Without --version the newest
line is installed, also where an older one runs; the plan says so, and on a terminal you
are asked. While an install runs, another one is refused. ` + "`tekgate rollback`" + ` returns to the release before.

The servers get their certificates from cert-manager where the cluster serves it,
and sign their own elsewhere; the section certificates of the configuration decides
otherwise. From one to the other no request is lost, which takes some minutes.

A --ca-file is trusted when the mirror is asked, and also given to Tekton's
controllers, which ask it themselves, in their ConfigMap config-registry-cert. Chains,
which pushes signatures to registries, gets them in one of that name.`,
		Example: `  # from DaoCloud's public mirror
  tekgate install --mirror daocloud

  # from a registry that holds pipeline-controller:v1.15.1, triggers-webhook:v0.37.0, …
  tekgate install --mirror registry.example.com/tekton

  # with rules of one's own, and another release
  tekgate install --config tekgate.yaml --pipeline-manifest release.yaml

  # the line v1.12 of Tekton Pipelines, and the Triggers release that fits it
  tekgate install --mirror daocloud --version v1.12

  # what would an upgrade do?
  tekgate upgrade --mirror daocloud --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return i.run(cmd) },
	}
	i.flags(cmd)
	return cmd
}

// flags adds the flags that install and upgrade share.
func (i *installation) flags(cmd *cobra.Command) {
	i.target.Flags(cmd,
		"`SOURCE` of the manifests that the cluster was installed from, where Tekgate did not install it: what differs from them in ConfigMaps is yours (repeatable)")
	i.target.Source.Registries.Flags(cmd)
	cmd.Flags().BoolVar(&i.target.SkipProbe, "skip-probe", false, "do not ask the mirror whether it holds the images")
	i.apply.Flags(cmd, &i.target.Options)
}

func (i *installation) run(cmd *cobra.Command) error {
	return i.apply.Run(cmd, &i.target.Options, func() (*installer.Cluster, installer.Release, error) {
		return i.target.Connect(cmd.Context(), cli.StreamsOf(cmd))
	})
}
