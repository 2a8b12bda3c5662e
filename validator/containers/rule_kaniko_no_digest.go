package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoNoDigestRule = &rule.Rule{
	ID:       "kaniko-no-digest",
	Severity: rule.Info,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds steps whose Kaniko pushes an image and tells nobody its digest: none of
--digest-file, --image-name-with-digest-file and --image-name-tag-with-digest-file.

Without the digest in a result, Tekton Chains signs nothing, and what is deployed next
is whatever the tag names by then. Write --digest-file=$(results.IMAGE_DIGEST.path).

Only steps of which all arguments are known are looked at.`,
	Check: checkKanikoNoDigest,
}

func checkKanikoNoDigest(_ context.Context, p *rule.Pass) {
	for _, step := range executorSteps(p) {
		if step.Whole && !step.on("no-push") &&
			len(step.all("digest-file", "image-name-with-digest-file", "image-name-tag-with-digest-file")) == 0 {
			p.Report(step.Path,
				"%s pushes an image and keeps no digest of it, so nothing can be signed or deployed for certain: add --digest-file=$(results.IMAGE_DIGEST.path)",
				step.Unit)
		}
	}
}
