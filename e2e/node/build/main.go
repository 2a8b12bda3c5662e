// Command build makes sure that everything a node runs is in the cache. Before that
// it says what keeps a node from running here, so that nobody waits for a build to
// hear it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tekgate/tekgate/e2e/node"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if missing := node.Missing(); len(missing) > 0 {
		return missing
	}
	_, err := node.Build(ctx, os.Stderr)
	return err
}
