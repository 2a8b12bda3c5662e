// Package shipwright makes the TaskRuns of Shipwright's builds, with Shipwright's own code.
package shipwright

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// TaskRun returns the TaskRun of a build as JSON: see the program in the folder taskrun, which
// is built on first use. The build's output goes to log.
func TaskRun(ctx context.Context, log io.Writer, build []byte) ([]byte, error) {
	program, err := Build(ctx, log)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(build), log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking Shipwright for a TaskRun: %w", err)
	}
	return out, nil
}

// Build returns the path of the program.
func Build(ctx context.Context, log io.Writer) (string, error) {
	return cluster.Own{Program: "shipwright-taskrun", Dir: "shipwright/taskrun", Package: ".",
		Sources: []string{"main.go", "go.sum"}}.Build(ctx, log)
}
