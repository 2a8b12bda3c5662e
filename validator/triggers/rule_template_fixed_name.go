package triggers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var templateFixedNameRule = &rule.Rule{
	ID:       "template-fixed-name",
	Severity: rule.Warning,
	Kinds:    rule.WithTemplates,
	Doc: `Finds templates of objects whose metadata.name is the same for every event.

The first event creates it. The second finds it there: the API server answers
AlreadyExists, and Tekton has answered 202 long before. A name with an expression in it
passes.`,
	Check: checkTemplateFixedName,
}

func checkTemplateFixedName(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, t := range templatedIn(p) {
		metadata := r.Fields(t.Fields, "metadata")
		name := r.Text(metadata, "name")
		if name == "" || expression.Any(name) {
			continue
		}
		path := t.Path + ".metadata"
		finding := p.Report(path+".name",
			"every event creates a %s of this one name, so the second fails with AlreadyExists, after a 202: write generateName: %s- in place of name",
			t.call(), name)
		if !createsRun(t) {
			continue
		}
		edits := []rule.Edit{{Op: "remove", Path: path + ".name"}}
		if metadata["generateName"] == nil {
			edits = append(edits, rule.Edit{Op: "add", Path: path + ".generateName", Value: name + "-"})
		}
		p.Mend(finding, edits...)
	}
}

func createsRun(t templated) bool { return slices.Contains(rule.Runs, t.kind()) }
