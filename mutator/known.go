package mutator

import (
	"cmp"
	"errors"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
)

// memory holds what was found out about texts. Taking an image reference apart and
// asking a mirror's patterns for it costs as much as decoding the whole object, and
// a cluster runs the same few hundred images all day.
type memory[V any] struct {
	mutex sync.RWMutex
	known map[string]V
	most  int // how many are kept; 0 means maxKnown
}

// What is kept is bounded, since whoever may create a run chooses its texts: at
// worst there are maxKnown of maxKnownText bytes, with little beside each.
const (
	maxKnown     = 2000
	maxKnownText = 512
)

// get returns what find says about a text, which it asks once as a rule. Two may
// ask it at the same time, and get the same.
func (m *memory[V]) get(text string, find func(string) V) V {
	m.mutex.RLock()
	value, ok := m.known[text]
	m.mutex.RUnlock()
	if ok {
		return value
	}
	text = strings.Clone(text) // it may have been cut from a whole object
	value = find(text)
	if len(text) > maxKnownText {
		return value
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.known == nil || len(m.known) >= cmp.Or(m.most, maxKnown) {
		m.known = map[string]V{}
	}
	m.known[text] = value
	return value
}

// knownImage is what the configuration says about an image by its name.
type knownImage struct {
	ref     image.Reference
	err     error            // that it is no reference
	builder *builder.Builder // which holds it, nil for none
	program string           // what the image starts if it is one of Kaniko's, "" if it is none or that is not certain
	release *version.Version // that its tag says, nil where it says none
	house   houseImage
	origin  string // upstream, "" where it is on no former mirror
}

// houseImage is what takes the place of an image, if that is one of Kaniko's.
type houseImage struct {
	image.Reference
	text, did string // the reference, and what is said of it; "" where there is none
	is        bool   // whether the image is the house's already
}

// image returns what is known of an image, "" included.
func (s *settings) image(text string) knownImage { return s.seen.images.get(text, s.findImage) }

func (s *settings) findImage(text string) knownImage {
	ref, err := image.Parse(text)
	if err != nil {
		return knownImage{err: err}
	}
	known := knownImage{ref: ref, release: kaniko.Release(ref.Tag)}
	for i := range s.builders {
		if s.builders[i].Holds(ref) {
			known.builder = &s.builders[i]
			break
		}
	}
	own := builder.Builder{Repositories: kaniko.Upstream, Patterns: s.builders[0].Patterns}
	switch house := s.kaniko.image; {
	case !own.Holds(ref):
	case house != nil && ref == *house:
		known.program = kaniko.Executor
	default:
		known.program = kaniko.Program(ref)
	}
	if known.program == kaniko.Executor && s.kaniko.image != nil {
		known.house = s.findHouse(text, ref)
	}
	if s.hasFormer {
		if origin, source, err := s.images.Origin(ref); err == nil && source != "" {
			known.origin = origin.String()
		}
	}
	return known
}

// builds returns the builder that a step runs, nil for none. An image that is
// not known before the run starts leaves the command alone to decide.
func (s *settings) builds(v *view) *builder.Builder {
	for i := range s.builders {
		if s.builders[i].Starts(v.command) {
			return &s.builders[i]
		}
	}
	return s.image(v.known).builder
}

// mirrored is what the mirror makes of an image.
type mirrored struct {
	image.Rewritten
	to  string // the reference in its place; "" where it stays
	why string // why it stays
	did string // what is said of it
	// unsure says that it stays since what it was before is not certain.
	unsure bool
}

// mirrorOf returns what the mirror makes of an image.
func (s *settings) mirrorOf(text string) mirrored { return s.seen.mirrored.get(text, s.findMirror) }

func (s *settings) findMirror(text string) mirrored {
	known := s.image(text)
	if known.err != nil {
		return mirrored{why: "it is no image reference"}
	}
	if known.origin != "" {
		fate := s.afresh(known.origin)
		fate.did += " in place of " + text
		return fate
	}
	done, err := s.images.Rewrite(known.ref)
	var unmirrored *image.UnmirroredError
	var former *image.FormerError
	switch {
	case errors.As(err, &former):
		return mirrored{why: former.Reason(), unsure: true}
	case errors.As(err, &unmirrored):
		return mirrored{why: "no rule of the mirror applies to it"}
	case err != nil:
		return mirrored{why: err.Error()}
	case done.To == known.ref:
		return mirrored{why: onMirror}
	}
	return mirrored{Rewritten: done, to: done.To.String(), did: "took " + text + " from the mirror (" + done.Rule + ")"}
}
