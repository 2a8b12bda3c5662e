package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// Complete sets what completes the values of a command's flag. The flag must exist and have no
// completion yet.
func Complete(cmd *cobra.Command, flag string, values cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(fmt.Sprintf("completing --%s of %s: %v", flag, cmd.Name(), err)) // the code's own mistake
	}
}
