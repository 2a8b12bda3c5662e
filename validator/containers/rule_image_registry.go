package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var imageRegistryRule = &rule.Rule{
	ID:       "image-registry",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds images that none of validator.policy.images.allowed matches: those of steps,
sidecars, stepTemplates and StepActions, and those that parameters whose name ends in
"image" hold, as a value or as a default.

A pattern covers host and path: "*" stands for anything within one element of the
path, "**" for any number of elements. Docker Hub's short names count as
docker.io/library/….

An image whose tag alone is not known is judged. One whose host or path is not known
passes, see the rule cannot-be-judged; the rule image-from-parameter finds those.`,
	Check: checkImageRegistry,
}

func checkImageRegistry(_ context.Context, p *rule.Pass) {
	if len(rule.PolicyOf[ImagePolicy](p).Allowed) == 0 {
		return
	}
	allowed := compilePatterns(rule.PolicyOf[ImagePolicy](p).Allowed)
	for _, used := range slices.Concat(imagesUsed(p), imagesInParams(p)) {
		ref, known := used.repository()
		switch {
		case !known && used.Err == nil:
			p.Cannot(used.Path, used.Filled)
		case known && !image.MatchAny(allowed, ref):
			p.Report(used.Path,
				"image %q is none of those that validator.policy.images.allowed lists: take it from an allowed registry, or have the list extended",
				used.Filled)
		}
	}
}
