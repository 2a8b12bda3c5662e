package triggers

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var templateLongNameRule = &rule.Rule{
	ID:       "template-long-name",
	Severity: rule.Info,
	Kinds:    rule.WithTemplates,
	Doc: `Finds templates of objects whose generateName has more than 58 characters.

The API server cuts it there, to have room for five of its own (names.maxGeneratedNameLength
in k8s.io/apiserver): what told two of them apart may be what is lost.`,
	Check: checkTemplateLongName,
}

func checkTemplateLongName(_ context.Context, p *rule.Pass) {
	const longest = 58
	var r object.Reader
	for _, t := range templatedIn(p) {
		metadata := r.Fields(t.Fields, "metadata")
		prefix := r.Text(metadata, "generateName")
		if r.Text(metadata, "name") == "" && !expression.Any(prefix) && len(prefix) > longest {
			p.Report(t.Path+".metadata.generateName",
				"generateName has %d characters, and the API server cuts it after %d: shorten it",
				len(prefix), longest)
		}
	}
}
