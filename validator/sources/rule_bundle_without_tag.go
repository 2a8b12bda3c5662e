package sources

import (
	"context"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var bundleWithoutTagRule = &rule.Rule{
	ID:       "bundle-without-tag",
	Severity: rule.Warning,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds bundles without a tag. Beside a digest it says to people, and to the tools that
propose updates, which version it is.`,
	Check: checkBundleWithoutTag,
}

func checkBundleWithoutTag(_ context.Context, p *rule.Pass) {
	eachBundle(p, func(bundle image.Reference, path string) {
		if bundle.Tag == "" {
			p.Report(path,
				"the bundle has no tag, so that neither people nor update tools know its version: write it before the digest, as in :0.9@sha256:…")
		}
	})
}
