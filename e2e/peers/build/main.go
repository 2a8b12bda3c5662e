// Command build builds the peers' programs into the cache, unless they are there, and
// prints their paths. Arguments select some of them; the default is all.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/tekgate/tekgate/e2e/peers"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string, out, log io.Writer) error {
	if len(names) == 0 {
		for _, module := range peers.Modules() {
			names = append(names, slices.Sorted(maps.Keys(module.Programs))...)
		}
	}
	for _, name := range names {
		path, err := peers.Build(ctx, name, log)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, path)
	}
	return nil
}
