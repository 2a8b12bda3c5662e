package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var buildPlatformRule = &rule.Rule{
	ID:       "build-platform",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithSteps,
	Doc: `Finds platforms to build for, or to build on, that validator.policy.security.builds.platforms
does not list (* stands for any characters but a slash): the parameters PLATFORM,
PLATFORMS, IMAGE_PLATFORM and IMAGE_PLATFORMS, also in a matrix, and Kaniko's
--custom-platform.

In multi-platform builds the parameter names the machine too, and some machines give
the build root (Konflux's linux-root; Conforma keeps a list as well). An empty list
allows all.`,
	Check: checkBuildPlatform,
}

var buildPlatformParams = []string{"PLATFORM", "PLATFORMS", "IMAGE_PLATFORM", "IMAGE_PLATFORMS"}

func checkBuildPlatform(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[SecurityPolicy](p).Builds.Platforms
	if len(allowed) == 0 {
		return
	}
	var found []rule.Text
	for _, param := range allParams(p) {
		if slices.Contains(buildPlatformParams, param.Name) {
			found = append(found, rule.TextsIn(param.Value, param.Path+".value")...)
		}
	}
	for _, step := range executorSteps(p) {
		for _, flag := range step.all("custom-platform") {
			found = append(found, rule.Text{Path: flag.Path, Value: flag.Value})
		}
	}
	for _, platform := range found {
		if platform.Value != "" && !expression.Any(platform.Value) && !rule.MatchesAny(allowed, platform.Value) {
			p.Report(platform.Path,
				"platform %q is not in validator.policy.security.builds.platforms: build for one of those, or have the list extended",
				platform.Value)
		}
	}
}
