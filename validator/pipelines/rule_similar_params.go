package pipelines

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var similarParamsRule = &rule.Rule{
	ID:       "similar-params",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds two params in one place whose names differ only in -, _ and the case of letters,
such as image-url and imageURL.

Tekton takes them for two. Whoever gives one and forgets the other gets its default.`,
	Check: checkSimilarParams,
}

// plainName is a name without what people mix up in it.
var plainName = strings.NewReplacer("-", "", "_", "")

func checkSimilarParams(_ context.Context, p *rule.Pass) {
	var r object.Reader
	if p.Kind.Kind == "TaskRun" || p.Kind.Kind == "PipelineRun" {
		reportSimilar(p, itemsIn(r.Fields(p.Object, "spec"), "spec", "params"))
	}
	for _, s := range specificationsIn(p) {
		reportSimilar(p, itemsIn(s.Fields, s.Path, "params"))
		for _, task := range s.tasks() {
			reportSimilar(p, itemsIn(task.Fields, task.Path, "params"))
		}
	}
}

func reportSimilar(p *rule.Pass, params []namedItem) {
	seen := map[string]string{}
	for _, param := range params {
		plain := strings.ToLower(plainName.Replace(param.Name))
		if other, is := seen[plain]; is && other != param.Name {
			p.Report(param.Path+".name",
				"the parameters %q and %q are two for Tekton and one for most readers: rename or remove one of them",
				other, param.Name)
		}
		seen[plain] = param.Name
	}
}
