package containers

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var imageFromEventRule = &rule.Rule{
	ID:       "image-from-event",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds images in a TriggerTemplate whose repository comes from $(tt.params.…), directly
or through a parameter of the run.

Whoever sends the event then chooses what runs, with the ServiceAccount and the
workspaces of the run (Tekton's threat model, docs/security/threat-model.md).

Where the host and path stand in full and only the tag comes from the event, it
passes.`,
	Check: checkImageFromEvent,
}

func checkImageFromEvent(_ context.Context, p *rule.Pass) {
	if p.Template == nil {
		return
	}
	for _, field := range imageFieldsIn(p) {
		if name := eventRepository(field.filled(p)); name != "" {
			p.Report(field.Path,
				"%s gives the repository of the image, so whoever sends the event may choose what runs: write host and path out, and take at most the tag from the event",
				name)
		}
	}
}

// eventRepository returns the expression of the TriggerTemplate that stands in the
// repository of an image, "" for none.
func eventRepository(image string) string {
	for _, e := range expression.Find(image) {
		before := image[:e.Start]
		last := before[strings.LastIndex(before, "/")+1:]
		if strings.ContainsAny(last, ":@") && strings.Contains(before, "/") {
			return "" // this and what follows is the tag or the digest
		}
		if e.Root() == "tt" {
			return e.Text
		}
	}
	return ""
}
