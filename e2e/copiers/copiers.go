// Package copiers builds the tools that copy images by an exported list.
package copiers

import (
	"context"
	"io"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// BuildRegsync returns the path of regsync, at the version that the module in the folder
// tools names. It is built into the cache on first use, which is logged.
func BuildRegsync(ctx context.Context, log io.Writer) (string, error) {
	return cluster.Own{Program: "regsync", Dir: "copiers/tools",
		Package: "github.com/regclient/regclient/cmd/regsync", Sources: []string{"go.sum"}}.Build(ctx, log)
}
