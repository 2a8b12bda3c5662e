package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var imageNotPinnedRule = &rule.Rule{
	ID:       "image-not-pinned",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds images that are not named by their digest.

A tag can be moved, by whoever may push to the repository; a digest is what was
tested, and what provenance can name. Renovate and others keep both up to date in
host/path:tag@sha256:….

An image of which a parameter is not known passes.`,
	Check: checkImageNotPinned,
}

func checkImageNotPinned(_ context.Context, p *rule.Pass) {
	for _, used := range imagesUsed(p) {
		if !used.Known && used.Err == nil {
			p.Cannot(used.Path, used.Filled)
		}
		if used.Known && used.Ref.Digest == "" {
			p.Report(used.Path,
				"image %q is not pinned, so its tag may come to name something else: add @sha256: and its digest",
				used.Filled)
		}
	}
}
