package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var imageMovedRule = &rule.Rule{
	ID:       "image-moved",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds images of gcr.io/tekton-releases and its regional twins, which answer nobody since
July 2025. The same images, digest for digest, are at ghcr.io/tektoncd
(tektoncd/pipeline#8870, tektoncd/plumbing#2262).

Where the image stands in full, the fix writes its new name.`,
	Check: checkImageMoved,
}

func checkImageMoved(_ context.Context, p *rule.Pass) {
	for _, used := range imagesUsed(p) {
		if !used.Known || used.Ref.Canonical() == used.Ref {
			continue
		}
		finding := p.Report(used.Path,
			"image %q is at a registry that answers nobody since July 2025: write %s",
			used.Filled, used.Ref.Canonical())
		if used.Written == used.Filled {
			p.Mend(finding, rule.Edit{Op: "replace", Path: used.Path, Value: used.Ref.Canonical().String()})
		}
	}
}
