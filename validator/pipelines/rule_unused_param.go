package pipelines

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unusedParamRule = &rule.Rule{
	ID:       "unused-param",
	Severity: rule.Info,
	Kinds:    rule.WithSteps,
	Doc: `Finds parameters that a Task, Pipeline or StepAction declares and never uses.

Whoever sets one believes that it has an effect. Most often its use is misspelt, or has
been deleted. An expression in the image of a volume is no use: Tekton leaves it as it is
written.`,
	Check: checkUnusedParam,
}

func checkUnusedParam(_ context.Context, p *rule.Pass) {
	if p.Inlined || isOfPipelinesAsCode(p) { // what is declared propagates to Tasks that are written out later
		return
	}
	for _, s := range specificationsIn(p) {
		declared := itemsIn(s.Fields, s.Path, "params")
		if len(declared) == 0 {
			continue
		}
		used := mentionsIn(rule.TextsIn(s.Fields, ""))
		p.Step(len(used))
		for _, param := range declared {
			if !used.of(param.Name) {
				p.Report(param.Path,
					"parameter %q is declared and never used, so it has no effect whoever sets it: use it or remove it",
					param.Name)
			}
		}
	}
}

// longestMentioned is up to how many bytes names of parameters are compared. Tekton takes
// longer ones; they count as used.
const longestMentioned = 256

// mentions are what stands in texts where the name of a parameter may begin, sorted: so
// that a name is looked for once among them, and not in each text.
type mentions []string

func mentionsIn(texts []rule.Text) mentions {
	var found mentions
	for _, t := range texts {
		if object.InImageVolume(t.Path) {
			continue
		}
		for rest := t.Value; ; {
			at := strings.Index(rest, "params")
			if at < 0 {
				break
			}
			rest = rest[at+len("params"):]
			for _, form := range []string{".", `["`, "['"} {
				if after, is := strings.CutPrefix(rest, form); is {
					found = append(found, after[:min(len(after), longestMentioned)])
				}
			}
		}
	}
	slices.Sort(found)
	return found
}

// of tells whether a text may use a parameter.
func (m mentions) of(name string) bool {
	at, _ := slices.BinarySearch(m, name)
	return len(name) > longestMentioned || at < len(m) && strings.HasPrefix(m[at], name)
}
