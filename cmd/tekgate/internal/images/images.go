// Package images lists a release's images, and fills and checks the mirror.
package images

import (
	"github.com/spf13/cobra"
)

// Command returns the command.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List a release's images, and fill and check the mirror",
		Long: `The images of a release, those that stand in arguments included: what they are,
whether the mirror has them, and how they get there.

Registries are logged in to with the credentials of the Docker configuration
($DOCKER_CONFIG, ~/.docker/config.json).`,
	}
	cmd.AddCommand(listCommand(), verifyCommand(), lockCommand(), copyCommand(), saveCommand(), loadCommand(),
		exportCommand())
	return cmd
}
