package record

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/scan"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// MaxOriginals bounds the annotation: all annotations of an object share 256 KiB,
// and TaskRuns and Pods inherit them.
const MaxOriginals = 16 << 10

// Originals are the images that authors wrote and that rules replaced
// (wellknown.OriginalImagesKey).
type Originals struct {
	became map[string]string // from the image that an author wrote to what it became
	// read is what the annotation said: an image may stand in several places, which are
	// replaced one after the other.
	read map[string]string
	// longest is a length that their text does not exceed.
	longest int
	changed bool // whether Remember or Keep has changed them
}

// ReadOriginals returns what the annotation says, nothing where it is not JSON.
func ReadOriginals(notes map[string]any) Originals {
	text, _ := notes[wellknown.OriginalImagesKey].(string)
	if text == "" {
		return Originals{}
	}
	var became map[string]string
	if json.Unmarshal([]byte(text), &became) != nil || slices.ContainsFunc(slices.Collect(maps.Keys(became)), odd) {
		return Originals{}
	}
	return Originals{became: became, read: became, longest: longest(became)}
}

// Of returns the image that its author wrote in place of one, or that one.
// Where there are several, the first in the order of the alphabet stands for all:
// they were found to be the same program.
func (o *Originals) Of(now string) string {
	found := ""
	for author, became := range o.at(now) {
		if became == now && (found == "" || author < found) {
			found = author
		}
	}
	if found == "" {
		return now
	}
	return found
}

// Authors returns the images that authors wrote and that one took the places of, sorted.
func (o *Originals) Authors(now string) []string {
	var authors []string
	for author, became := range o.at(now) {
		if became == now {
			authors = append(authors, author)
		}
	}
	slices.Sort(authors)
	return authors
}

// at returns the pairs that know an image: as they are now, or else as they were read.
func (o *Originals) at(now string) map[string]string {
	if !o.changed {
		return o.became
	}
	for _, became := range o.became {
		if became == now {
			return o.became
		}
	}
	return o.read
}

// Remember records the image that an author wrote, unless the annotation would
// become too long. An image that its author gets back is recorded no more.
func (o *Originals) Remember(now, before string) {
	if o.became == nil {
		o.became = map[string]string{}
	}
	// The annotation could become too long if each byte of its texts became \u00XX.
	length := o.longest + 6*(2+len(before)+len(now))
	originals := o.became
	if length > MaxOriginals || !o.changed && len(o.read) > 0 {
		originals = maps.Clone(originals) // since it may have to stay as it is
	}
	replaced := false // it took the place of another itself: the house's Kaniko, on the mirror
	for author, became := range o.at(before) {
		if became != before {
			continue
		}
		originals[author] = now
		length += 6 * len(now)
		replaced = true
		if author == now {
			delete(originals, author)
		}
	}
	if !replaced && before != now {
		originals[before] = now
	}
	if length > MaxOriginals {
		if tooLong(originals) {
			return
		}
		length = longest(originals)
	}
	o.became, o.longest, o.changed = originals, length, true
}

// Keep removes the originals of images that are not in the object any more, and reports
// whether there were any.
func (o *Originals) Keep(has func(image string) bool) bool {
	before := len(o.became)
	o.became = maps.Clone(o.became) // what was read stays
	maps.DeleteFunc(o.became, func(_, became string) bool { return !has(became) })
	removed := len(o.became) < before
	if removed {
		o.changed, o.longest = true, longest(o.became)
	}
	return removed
}

// Empty reports whether there are none.
func (o *Originals) Empty() bool { return len(o.became) == 0 }

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
	return err != nil || len(text) > MaxOriginals
}

// Text returns the text of the annotation, "" for none, and whether it has changed.
func (o *Originals) Text() (text string, changed bool) {
	if !o.changed || len(o.became) == 0 {
		return "", o.changed
	}
	var room [8]string // for their names, in order, so that the same images give the same text
	authors := room[:0]
	for author := range o.became {
		authors = append(authors, author)
	}
	slices.Sort(authors)
	out := make([]byte, 0, 512)
	for i, author := range authors {
		out = scan.AppendQuoted(append(out, "{,"[min(i, 1)]), author)
		out = scan.AppendQuoted(append(out, ':'), o.became[author])
	}
	return string(append(out, '}')), true
}

// odd reports whether no author can have written that in place of an image.
func odd(author string) bool {
	_, err := image.Parse(author)
	return err != nil
}
