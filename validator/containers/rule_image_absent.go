package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var imageAbsentRule = &rule.Rule{
	ID:       "image-absent",
	Severity: rule.Warning,
	Online:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds images that their registry does not have, or not as a whole.

The run would wait for its image until its timeout, or fail with TaskRunImagePullFailed. If an
index names a platform that the registry lacks, lists one twice or without its name, Tekton
cannot start a step that names the image and no command, on any platform.
What an earlier run builds may come later, so this is a warning. A registry that
cannot be asked is told of and passes.`,
	Check: checkImageAbsent,
}

func checkImageAbsent(ctx context.Context, p *rule.Pass) {
	if p.Registry == nil {
		return
	}
	for _, used := range imagesUsed(p) {
		if !used.Known {
			continue
		}
		exists, flaws, err := p.Registry.Exists(ctx, used.Filled)
		switch {
		case err != nil:
			p.Unknown(used.Path, "asking for image "+used.Filled, err)
		case !exists:
			p.Report(used.Path,
				"image %q is not in its registry, so the run would wait for it in vain: correct the name or the tag, or push it first",
				used.Filled)
		}
		for _, flaw := range flaws {
			p.Report(used.Path, "image %s", flaw)
		}
	}
}
