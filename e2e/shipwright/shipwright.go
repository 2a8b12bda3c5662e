// Package shipwright makes the TaskRuns of Shipwright's builds, with Shipwright's own code.
package shipwright

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

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
	const program = "shipwright-taskrun"
	root, err := cluster.Root(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "e2e", "shipwright", "taskrun")
	key := "static, trimmed 1"
	for _, name := range []string{"main.go", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("reading what prints Shipwright's TaskRuns: %w", err)
		}
		key += string(text)
	}
	folder, err := cluster.Recipe{
		Name: program, Dir: dir, Key: key, Packages: map[string]string{program: "."},
		Linker: func() (string, error) { return "-s -w", nil },
	}.Build(ctx, log)
	return filepath.Join(folder, program), err
}
