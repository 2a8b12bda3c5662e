// Command build makes sure that the control plane's binaries, and the sink of
// EventListeners, are in the cache, and prints the folder of the former. Where a cluster is given in their
// place there is nothing to build.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/tekgate/tekgate/e2e/cluster"
)

func main() {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		fmt.Printf("the cluster of %s is used: nothing to build\n", cluster.KubeconfigEnv)
		return
	}
	dir, err := cluster.Binaries(context.Background(), os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
	if _, err := cluster.Sink(context.Background(), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}
