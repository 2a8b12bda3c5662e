// Command build makes sure that the control plane's binaries are in the cache,
// and prints the folder that they are in.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tekgate/tekgate/e2e/cluster"
)

func main() {
	dir, err := cluster.Binaries(context.Background(), os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}
