package mutator

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/scan"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Record says which rules changed an object. Pods and TaskRuns inherit the
// annotations of what they are made for, so it may name rules that changed the
// PipelineRun.
type Record struct {
	Rules  []string `json:"rules"`  // their ids, sorted
	Config string   `json:"config"` // see Mutator.Hash
}

// maxOriginals bounds the annotation: all annotations of an object share 256 KiB,
// and TaskRuns and Pods inherit them.
const maxOriginals = 16 << 10

// record writes down what was done. A Task, Pipeline or StepAction is left out:
// Tekton drops what a dry run adds to their metadata.
func (p *pass) record() {
	if slices.Contains(stored, p.kind) {
		return
	}
	done := Record{Rules: p.rulesDone(), Config: p.settings.hash}
	if text, _ := p.notes[wellknown.MutatedKey].(string); text != "" {
		var before Record
		if json.Unmarshal([]byte(text), &before) == nil {
			done.Rules = append(done.Rules, before.Rules...)
		}
	}
	slices.Sort(done.Rules)
	done.Rules = slices.Compact(done.Rules)
	p.annotate(wellknown.MutatedKey, done.text())
	p.recordOriginals()
}

// text is what encoding/json makes of the record.
func (r Record) text() string {
	out := append(make([]byte, 0, 256), `{"rules":`...)
	for i, id := range r.Rules {
		out = scan.AppendQuoted(append(out, "[,"[min(i, 1)]), id)
	}
	if len(r.Rules) == 0 {
		out = append(out, '[')
	}
	out = scan.AppendQuoted(append(out, `],"config":`...), r.Config)
	return string(append(out, '}'))
}

func (p *pass) rulesDone() []string {
	ids := make([]string, 0, len(Rules))
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

// readOriginals returns what wellknown.OriginalImagesKey says, nothing where it is not JSON.
func readOriginals(notes map[string]any) map[string]string {
	text, _ := notes[wellknown.OriginalImagesKey].(string)
	if text == "" {
		return nil
	}
	var originals map[string]string
	if json.Unmarshal([]byte(text), &originals) != nil {
		return nil
	}
	return originals
}

// original returns the image that its author wrote in place of one, or that one.
// Where there are several, the first in the order of the alphabet stands for all:
// they were found to be the same program.
func (p *pass) original(now string) string {
	found := ""
	for author, became := range p.originals {
		if became == now && (found == "" || author < found) {
			found = author
		}
	}
	if found == "" {
		return now
	}
	return found
}

// remember records the image that an author wrote, unless the annotation would
// become too long, or would stay on no object. It is written by record.
func (p *pass) remember(now, before string) {
	if slices.Contains(stored, p.kind) {
		return
	}
	if p.originals == nil {
		p.originals = map[string]string{}
	}
	// The annotation could become too long if each byte of its texts became \u00XX.
	length := p.longest + 6*(2+len(before)+len(now))
	originals := p.originals
	if length > maxOriginals {
		originals = maps.Clone(originals) // since it may have to stay as it is
	}
	replaced := false // it took the place of another itself: the house's Kaniko, on the mirror
	for author, became := range originals {
		if became == before {
			originals[author] = now
			length += 6 * len(now)
			replaced = true
		}
	}
	if !replaced {
		originals[before] = now
	}
	if length > maxOriginals {
		if tooLong(originals) {
			return
		}
		length = longest(originals)
	}
	p.originals, p.longest, p.remembered = originals, length, true
}

// longest returns a length that the text of originals does not exceed.
func longest(originals map[string]string) int {
	length := 0
	for author, became := range originals {
		length += 6 * (2 + len(author) + len(became))
	}
	return length
}

func tooLong(originals map[string]string) bool {
	text, err := json.Marshal(originals)
	return err != nil || len(text) > maxOriginals
}

// recordOriginals writes what was remembered.
func (p *pass) recordOriginals() {
	if !p.remembered {
		return
	}
	var room [8]string // for their names, in order, so that the same images give the same text
	authors := room[:0]
	for author := range p.originals {
		authors = append(authors, author)
	}
	slices.Sort(authors)
	out := make([]byte, 0, 512)
	for i, author := range authors {
		out = scan.AppendQuoted(append(out, "{,"[min(i, 1)]), author)
		out = scan.AppendQuoted(append(out, ':'), p.originals[author])
	}
	p.annotate(wellknown.OriginalImagesKey, string(append(out, '}')))
}
