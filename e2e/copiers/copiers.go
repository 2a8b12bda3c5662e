// Package copiers builds the tools that copy images by an exported list.
package copiers

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// BuildRegsync returns the path of regsync, at the version that the module in the folder
// tools names. It is built into the cache on first use, which is logged.
func BuildRegsync(ctx context.Context, log io.Writer) (string, error) {
	const program = "regsync"
	root, err := cluster.Root(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "e2e", "copiers", "tools")
	sums, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		return "", fmt.Errorf("reading the version of regsync: %w", err)
	}
	folder, err := cluster.Recipe{
		Name: program, Dir: dir, Key: "static, trimmed 1" + string(sums),
		Packages: map[string]string{program: "github.com/regclient/regclient/cmd/regsync"},
		Linker:   func() (string, error) { return "-s -w", nil },
	}.Build(ctx, log)
	return filepath.Join(folder, program), err
}
