package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var imageLatestRule = &rule.Rule{
	ID:       "image-latest",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds images of steps, sidecars, stepTemplates and StepActions without a tag, or with
the tag latest.

What runs then changes whenever somebody pushes, and the kubelet asks the registry at
every start, so that a registry that is away stops every run. Parameters count as far
as their values or defaults are known.

An image that is named by its digest passes, whatever its tag.`,
	Check: checkImageLatest,
}

func checkImageLatest(_ context.Context, p *rule.Pass) {
	for _, used := range imagesUsed(p) {
		if !used.Known && used.Err == nil {
			p.Cannot(used.Path, used.Filled)
		}
		if !used.Known || used.Ref.Digest != "" {
			continue
		}
		switch used.Ref.Tag {
		case "":
			p.Report(used.Path,
				"image %q has no tag, so it is latest, and what runs changes with every push to it: name a release, best with its digest",
				used.Filled)
		case "latest":
			p.Report(used.Path,
				"image %q is whatever was pushed last: name a release, best with its digest",
				used.Filled)
		}
	}
}
