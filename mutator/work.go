package mutator

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator/snapshot"
)

// work is the scratch memory of one request. It is pooled, because most of the cost of a
// request is memory that was not touched for long. Nothing in it may be returned.
type work struct {
	before snapshot.Object
	pass   pass
	text   []byte // of the patch
}

// works is the pool of scratch memory.
type works struct{ pool sync.Pool }

// The largest scratch memory that returns to the pool, so that one large object does not
// hold memory for good.
const (
	keptEntries   = 4096
	keptDecisions = 256
	keptViews     = 64
	keptText      = 64 << 10
)

func (w *works) get() *work {
	if found, ok := w.pool.Get().(*work); ok {
		return found
	}
	found := &work{text: make([]byte, 0, 4<<10)}
	found.before.Entries = make([]object.Entry, 0, 256)
	found.pass.out.Decisions = make([]Decision, 0, 24)
	found.pass.room = make([]view, 0, 8)
	return found
}

// put clears scratch memory and returns it to the pool.
func (w *works) put(used *work) {
	entries, decisions, room := used.before.Entries, used.pass.out.Decisions, used.pass.room
	if cap(entries) > keptEntries || cap(decisions) > keptDecisions || cap(room) > keptViews ||
		cap(used.text) > keptText {
		return
	}
	clear(entries)
	clear(decisions)
	clear(room)
	used.before.Entries = entries[:0]
	used.pass = pass{room: room[:0]}
	used.pass.out.Decisions = decisions[:0]
	w.pool.Put(used)
}

// apply applies the rules to the object of a request, and reports whether the object has
// to be compared with what it was.
//
// The error says that it is not a JSON object.
func (m *Mutator) apply(ctx context.Context, req Request, w *work) (changed bool, err error) {
	decoded, err := w.before.Decode(req.Raw, req.authored)
	if err != nil {
		return false, fmt.Errorf("decoding %s: %w", req.Kind.Kind, err)
	}
	p := &w.pass
	m.begin(ctx, p, req, decoded)
	for i := range m.rules {
		p.run(ctx, &m.rules[i])
	}
	p.out.Kept = p.kept
	if p.withdraw(req) {
		return true, nil
	}
	if pruned := p.prune(); !pruned && !p.changed() && p.notes[wellknown.ProbeKey] == nil {
		return false, nil
	}
	p.record()
	return true, nil
}

// patch returns the difference between the object before and after the rules as JSON, nil
// for none.
func (w *work) patch(kind string) ([]byte, error) {
	var err error
	if w.text, err = w.before.AppendPatch(w.text[:0], w.pass.object); err != nil {
		return nil, fmt.Errorf("encoding the patch for this %s: %w", kind, err)
	}
	if len(w.text) == 0 {
		return nil, nil
	}
	return slices.Clone(w.text), nil
}
