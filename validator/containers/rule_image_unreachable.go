package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/validator/rule"
)

var imageUnreachableRule = &rule.Rule{
	ID:       "image-unreachable",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds images whose registry the cluster cannot reach: those whose host is not in
validator.policy.images.reachable.

List the hosts that nodes and Tekton's controller can pull from, and those that a
rule of mutator.imageMirror or the container runtime's mirrors stand for. Docker Hub
is docker.io.`,
	Check: checkImageUnreachable,
}

func checkImageUnreachable(_ context.Context, p *rule.Pass) {
	hosts := rule.PolicyOf[ImagePolicy](p).Reachable
	if len(hosts) == 0 {
		return
	}
	for _, used := range imagesUsed(p) {
		if used.Known && !slices.Contains(hosts, used.Ref.Host) && !slices.Contains(hosts, used.Ref.Canonical().Host) {
			p.Report(used.Path,
				"image %q is at %s, which validator.policy.images.reachable does not list, so it could not be pulled: copy it to a registry in the list, or have a mirror cover it",
				used.Filled, used.Ref.Host)
		}
	}
}
