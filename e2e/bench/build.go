package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// build builds one of the commands of this module, once in a run, and returns its path.
func (b *bed) build(ctx context.Context, command string) (string, error) {
	if b.programs == "" {
		dir, err := os.MkdirTemp("", "tekgate-bench-")
		if err != nil {
			return "", fmt.Errorf("making a folder for programs: %w", err)
		}
		b.programs = dir
	}
	program := filepath.Join(b.programs, command)
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	fmt.Fprintf(b.talk, "building %s\n", command)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/tekgate/tekgate/cmd/"+command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", command, err, out)
	}
	return program, nil
}
