package containers

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoCacheRepoRule = &rule.Rule{
	ID:       "kaniko-cache-repo",
	Severity: rule.Info,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds steps whose Kaniko has --cache without --cache-repo: layers then go to the
destination's repository with /cache behind it, which some registries do not allow
(Docker Hub has two elements), and which nobody cleans.

Only steps of which all arguments are known are looked at.`,
	Check: checkKanikoCacheRepo,
}

func checkKanikoCacheRepo(_ context.Context, p *rule.Pass) {
	for _, step := range executorSteps(p) {
		if step.Whole && step.on("cache") && !step.on("no-push") && len(step.all("cache-repo")) == 0 {
			p.Report(step.Path,
				"%s keeps Kaniko's cache beside the image, at its repository with /cache behind it: name a place with --cache-repo=REPOSITORY",
				step.Unit)
		}
	}
}
