package containers

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var imageNotQualifiedRule = &rule.Rule{
	ID:       "image-not-qualified",
	Severity: rule.Info,
	Kinds:    rule.WithSteps,
	Doc: `Finds images without a registry's host, such as golang:1.26 or bitnami/git.

Tekton's controller looks them up at Docker Hub, containerd too; CRI-O looks wherever
the node is told to, or refuses short names. And Docker Hub limits how often one may
pull. The Tekton catalog asks for full names as well (tektoncd/catlin).`,
	Check: checkImageNotQualified,
}

func checkImageNotQualified(_ context.Context, p *rule.Pass) {
	for _, used := range imagesUsed(p) {
		if used.Known && used.Ref.Host == "docker.io" && !strings.HasPrefix(used.Filled, "docker.io/") &&
			!strings.HasPrefix(used.Filled, "index.docker.io/") && !startsOpen(used.Written) {
			p.Report(used.Path,
				"image %q names no registry, so where it comes from depends on the node: write %s if Docker Hub is meant",
				used.Filled, used.Ref)
		}
	}
}

// startsOpen tells whether a parameter may bring the host.
func startsOpen(image string) bool {
	found := expression.Find(image)
	return len(found) > 0 && found[0].Start == 0
}
