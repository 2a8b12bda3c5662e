package tekton

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// BuildValues returns the path of the program in the folder values, which prints what
// Tekton's own code makes of the params of runs. It is built on first use, which log hears
// about.
func BuildValues(ctx context.Context, log io.Writer) (string, error) {
	const program = "tekton-values"
	root, err := cluster.Root(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "e2e", "tekton", "values")
	key := "static, trimmed 1"
	for _, name := range []string{"main.go", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("reading what prints Tekton's values: %w", err)
		}
		key += string(text)
	}
	folder, err := cluster.Recipe{
		Name: program, Dir: dir, Key: key, Packages: map[string]string{program: "."},
		Linker: func() (string, error) { return "-s -w", nil },
	}.Build(ctx, log)
	return filepath.Join(folder, program), err
}
