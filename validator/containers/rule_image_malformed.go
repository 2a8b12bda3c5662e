package containers

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var imageMalformedRule = &rule.Rule{
	ID:       "image-malformed",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds images that are no references: with a digest of the wrong length, an upper-case
letter in the repository, a scheme or a space.

Tekton takes any text. The kubelet then says InvalidImageName, and the run fails, or
waits for its timeout in old releases; a step without a command fails already when
the controller looks for the image's entrypoint (pkg/pod/entrypoint_lookup.go).

In the image of a volume, Tekton fills in no expression: $(params.image) stays as it is
written, and is no reference. In other images, an expression passes where a run may still
give it another value.`,
	Check: checkImageMalformed,
}

func checkImageMalformed(_ context.Context, p *rule.Pass) {
	for _, used := range imagesUsed(p) {
		if used.Err == nil || !used.Certain {
			continue
		}
		if expressions := expression.Find(used.Filled); used.Literal && len(expressions) > 0 {
			p.Report(used.Path,
				"Tekton fills in no expression in the image of a volume, so %.200q stays as it is written, and no kubelet can pull it: write the image out",
				expressions[0].Text)
		} else {
			p.Report(used.Path,
				"%.200q is no image reference, so no kubelet can pull it: write host/path:tag or host/path@sha256:… with 64 digits, in lower case",
				used.Filled)
		}
	}
}
