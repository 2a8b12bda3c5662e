package containers

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoArchivedRule = &rule.Rule{
	ID:       "kaniko-archived",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds images of gcr.io/kaniko-project, whose project was archived in June 2025: its last
release is v1.24.0, and what is found in it since then stays in it.

The line that is maintained is ghcr.io/osscontainertools/kaniko, with the same paths,
flags and variables. mutator.kaniko.image lets Tekgate put it, or a mirror of it, in
the old one's place.

Copies on mirrors pass, since their names do not say what they hold.`,
	Check: checkKanikoArchived,
}

func checkKanikoArchived(_ context.Context, p *rule.Pass) {
	for _, field := range imageFieldsIn(p) {
		if field.Literal {
			continue // a volume runs nothing
		}
		if filled := field.filled(p); strings.HasPrefix(filled, "gcr.io/kaniko-project/") {
			p.Report(field.Path,
				"image %q is of a project that was archived in June 2025 and gets no fixes: use ghcr.io/osscontainertools/kaniko, or set mutator.kaniko.image",
				filled)
		}
	}
}
