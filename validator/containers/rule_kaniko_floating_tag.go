package containers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoFloatingTagRule = &rule.Rule{
	ID:       "kaniko-floating-tag",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds images of Kaniko whose tag is debug or slim alone: like latest they name whatever
was released last. v1.28.3-debug names one release.

What has the tag latest, or none, the rule image-latest finds.`,
	Check: checkKanikoFloatingTag,
}

func checkKanikoFloatingTag(_ context.Context, p *rule.Pass) {
	for _, c := range stepsIn(p) {
		name := stepImage(p, c)
		if !strings.Contains(name, "debug") && !strings.Contains(name, "slim") {
			continue
		}
		ref, err := image.Parse(name)
		if err == nil && ref.Digest == "" && slices.Contains([]string{"debug", "slim"}, ref.Tag) &&
			startsExecutor(p, c) {
			p.Report(c.Path+".image",
				"image %q is the last release of Kaniko, whichever that is: write a release before it, such as v1.28.3-%s",
				name, ref.Tag)
		}
	}
}
