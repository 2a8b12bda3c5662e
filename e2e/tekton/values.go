package tekton

import (
	"context"
	"io"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// BuildValues returns the path of the program in the folder values, which prints what
// Tekton's own code makes of the params of runs. It is built on first use, which log hears
// about.
func BuildValues(ctx context.Context, log io.Writer) (string, error) {
	return cluster.Own{Program: "tekton-values", Dir: "tekton/values", Package: ".",
		Sources: []string{"main.go", "go.sum"}}.Build(ctx, log)
}

// BuildLookup returns the path of the program in the folder values/lookup, which makes the Pod of a
// TaskRun as Tekton's controller does. It is built on first use, which is written to log.
func BuildLookup(ctx context.Context, log io.Writer) (string, error) {
	return cluster.Own{Program: "tekton-lookup", Dir: "tekton/values", Package: "./lookup",
		Sources: []string{"lookup/main.go", "go.sum"}}.Build(ctx, log)
}
