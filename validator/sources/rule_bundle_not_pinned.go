package sources

import (
	"context"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var bundleNotPinnedRule = &rule.Rule{
	ID:       "bundle-not-pinned",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    withSources,
	Doc: `Finds bundles without a digest: under a tag, tomorrow's run may get another Task than
today's, and nobody sees it.`,
	Check: checkBundleNotPinned,
}

func checkBundleNotPinned(_ context.Context, p *rule.Pass) {
	eachBundle(p, func(bundle image.Reference, path string) {
		if bundle.Digest == "" {
			p.Report(path,
				"the bundle has no digest, so that another one may stand there tomorrow: add @sha256:… after it")
		}
	})
}

// eachBundle calls visit for each bundle whose reference is certain and well formed.
func eachBundle(p *rule.Pass, visit func(bundle image.Reference, path string)) {
	for _, s := range sourcesIn(p) {
		text, path := s.bundle()
		if text == "" || !certain(text) {
			continue
		}
		if bundle, err := image.Parse(text); err == nil {
			visit(bundle, path)
		}
	}
}
