package mutator

import (
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator/record"
)

// record writes down what was done.
func (p *pass) record() {
	if p.unrecorded() {
		return
	}
	if done := p.rulesDone(); len(done) > 0 || p.notes[wellknown.ProbeKey] != nil {
		before, _ := p.notes[wellknown.MutatedKey].(string)
		p.annotate(wellknown.MutatedKey, record.Mutated{Rules: done, Config: p.settings.hash}.After(before))
	}
	text, changed := p.originals.Text()
	p.rewrite(wellknown.OriginalImagesKey, text, changed)
	text, changed = p.variables.Text()
	p.rewrite(wellknown.VariablesKey, text, changed)
}

// rewrite writes what has changed in a record.
func (p *pass) rewrite(key, text string, changed bool) {
	switch {
	case changed && text == "":
		delete(p.notes, key)
	case changed:
		p.annotate(key, text)
	}
}

// unrecorded reports whether nothing is recorded: of a Task, Pipeline or StepAction that is
// not stored, Tekton drops what a dry run adds to its metadata.
func (p *pass) unrecorded() bool { return slices.Contains(stored, p.kind) && !p.kept }

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
	if p.unrecorded() {
		return
	}
	if p.settings.hasFormer && len(p.originals.Authors(before)) == 0 {
		before = p.settings.upstream(before)
	}
	p.originals.Remember(now, before)
}

// rememberVariable records that a rule has set a variable of a step, or for "" that it has
// removed it. Nobody creates Pods again, and what is stored is stored once more by its
// manifest.
func (p *pass) rememberVariable(name, sum string) {
	if !slices.Contains(stored, p.kind) && !slices.Contains(pods, p.kind) {
		p.variables.Remember(name, sum)
	}
}
