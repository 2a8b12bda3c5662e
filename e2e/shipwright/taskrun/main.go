// Taskrun prints the TaskRun that Shipwright's own code makes of a build: it reads a Build, a
// BuildRun, a ClusterBuildStrategy and the name of a ServiceAccount as one JSON object.
//
// It is a module of its own, since Shipwright needs an older Tekton and git in Go.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	build "github.com/shipwright-io/build/pkg/apis/build/v1beta1"
	"github.com/shipwright-io/build/pkg/config"
	"github.com/shipwright-io/build/pkg/reconciler/buildrun/resources"
)

// order is what a TaskRun is made of.
type order struct {
	Build          build.Build                `json:"build"`
	BuildRun       build.BuildRun             `json:"buildRun"`
	Strategy       build.ClusterBuildStrategy `json:"strategy"`
	ServiceAccount string                     `json:"serviceAccount"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var o order
	if err := json.NewDecoder(in).Decode(&o); err != nil {
		return fmt.Errorf("reading the build: %w", err)
	}
	made, err := resources.GenerateTaskRun(config.NewDefaultConfig(), &o.Build, &o.BuildRun, o.ServiceAccount,
		&o.Strategy)
	if err != nil {
		return fmt.Errorf("making a TaskRun: %w", err)
	}
	made.APIVersion, made.Kind = "tekton.dev/v1", "TaskRun" // which typed clients add
	return json.NewEncoder(out).Encode(made)
}
