// Command build makes sure that everything a node runs is in the cache. Before that
// it says what keeps a node from running here, so that nobody waits for a build to
// hear it; with --check, that is all.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/tekgate/tekgate/e2e/node"
)

func main() {
	check := flag.Bool("check", false, "build nothing, and only say whether a node can run here")
	full := flag.Bool("full", false, "also build what only `make e2e-full` runs")
	flag.Parse()
	if err := run(context.Background(), *check, *full); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check, full bool) error {
	if missing := node.Missing(full); len(missing) > 0 {
		return missing
	}
	if check {
		return nil
	}
	_, err := node.Build(ctx, os.Stderr, full)
	return err
}
