// Command build makes sure that the control plane's binaries and those of
// Tekton's commands, cert-manager's controllers, Shipwright's TaskRuns, the evaluation
// of match conditions, regsync, the answers of registry clients and Tekton's look-up that tests
// run are in the cache, and prints the folders that they are in. Where a cluster is given in their
// place there is nothing to build.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/clients"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/copiers"
	"github.com/tekgate/tekgate/e2e/shipwright"
	"github.com/tekgate/tekgate/e2e/tekton"
)

func main() {
	if err := run(context.Background(), os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, log io.Writer) error {
	if os.Getenv(cluster.KubeconfigEnv) != "" {
		fmt.Fprintf(out, "the cluster of %s is used: nothing to build\n", cluster.KubeconfigEnv)
		return nil
	}
	controlPlane, err := cluster.Binaries(ctx, log)
	if err != nil {
		return err
	}
	conditions, err := cluster.BuildConditions(ctx, log)
	if err != nil {
		return err
	}
	commands, err := tekton.Build(ctx, log)
	if err != nil {
		return err
	}
	controllers, err := certmanager.Build(ctx, log)
	if err != nil {
		return err
	}
	taskRuns, err := shipwright.Build(ctx, log)
	if err != nil {
		return err
	}
	regsync, err := copiers.BuildRegsync(ctx, log)
	if err != nil {
		return err
	}
	answers, err := clients.Build(ctx, log)
	if err != nil {
		return err
	}
	lookup, err := tekton.BuildLookup(ctx, log)
	if err != nil {
		return err
	}
	folders := []string{controlPlane, conditions, controllers, filepath.Dir(taskRuns), filepath.Dir(regsync),
		filepath.Dir(answers), filepath.Dir(lookup)}
	for _, dir := range append(folders, commands...) {
		fmt.Fprintln(out, dir)
	}
	return nil
}
