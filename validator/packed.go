package validator

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
)

// Shelf keeps many objects in little memory: as JSON, which takes about an eighth of what the decoded fields
// take. An object is decoded when its fields are needed, and forgotten again when as many others as the shelf
// has room for were needed after it. Judging a repository needs the objects of a few files at a time.
// It is safe for concurrent use.
type Shelf struct {
	mu     sync.Mutex
	recent []*Packed // a ring of the objects that are decoded
	next   int
}

// NewShelf returns a shelf that keeps up to the given number of objects decoded.
func NewShelf(decoded int) *Shelf { return &Shelf{recent: make([]*Packed, decoded)} }

// Packed is an object on a shelf.
type Packed struct {
	shelf    *Shelf
	kind     schema.GroupVersionKind
	name     string // or generateName
	raw      []byte
	unpacked *unpacked // nil while the object is not decoded; the shelf's mutex guards it
}

// unpacked are an object's fields, which are not changed.
type unpacked struct {
	fields    map[string]any
	spelled   map[string]any // see admission.Spelled
	respelled bool
	raw       []byte // the JSON of spelled, or nil
}

func unpack(kind schema.GroupVersionKind, fields map[string]any) *unpacked {
	u := &unpacked{fields: fields}
	u.spelled, u.respelled = admission.Spelled(kind, fields)
	return u
}

// Pack puts an object on the shelf: its JSON, and the same decoded.
func (s *Shelf) Pack(kind schema.GroupVersionKind, raw []byte, fields map[string]any) *Packed {
	return &Packed{shelf: s, kind: kind, name: rule.NameOf(fields), raw: raw}
}

// Fields returns the object's fields, which must not be changed.
func (p *Packed) Fields() map[string]any { return p.unpack().fields }

func (p *Packed) unpack() *unpacked {
	s := p.shelf
	s.mu.Lock()
	known := p.unpacked
	s.mu.Unlock()
	if known != nil {
		return known
	}
	fields, _ := object.Decode(p.raw) // it was decoded before
	found := unpack(p.kind, fields)
	if !found.respelled {
		found.raw = p.raw
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.unpacked == nil {
		if oldest := s.recent[s.next]; oldest != nil {
			oldest.unpacked = nil
		}
		s.recent[s.next], p.unpacked = p, found
		s.next = (s.next + 1) % len(s.recent)
	}
	return p.unpacked
}
