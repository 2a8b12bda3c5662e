package mutator

import (
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator/record"
)

// record writes down what was done. A Task, Pipeline or StepAction is left out:
// Tekton drops what a dry run adds to their metadata.
func (p *pass) record() {
	if slices.Contains(stored, p.kind) {
		return
	}
	before, _ := p.notes[wellknown.MutatedKey].(string)
	done := record.Mutated{Rules: p.rulesDone(), Config: p.settings.hash}
	p.annotate(wellknown.MutatedKey, done.After(before))
	if text := p.originals.Text(); text != "" {
		p.annotate(wellknown.OriginalImagesKey, text)
	}
}

func (p *pass) rulesDone() []string {
	ids := make([]string, 0, 8)
	for _, d := range p.out.Decisions {
		if d.Did != "" && (len(ids) == 0 || ids[len(ids)-1] != d.Rule) {
			ids = append(ids, d.Rule)
		}
	}
	return ids
}

// annotate sets an annotation of the object; the maps on the way are made.
func (p *pass) annotate(key, value string) {
	var r object.Reader
	metadata := r.Fields(p.object, "metadata")
	if metadata == nil {
		metadata = map[string]any{}
		p.object["metadata"] = metadata
	}
	if p.notes == nil {
		p.notes = map[string]any{}
		metadata["annotations"] = p.notes
	}
	p.notes[key] = value
}

// remember records the image that an author wrote, unless the annotation would stay on
// no object. It is written by record.
func (p *pass) remember(now, before string) {
	if !slices.Contains(stored, p.kind) {
		p.originals.Remember(now, before)
	}
}
