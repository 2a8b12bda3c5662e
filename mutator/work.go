package mutator

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tekgate/tekgate/internal/object"
)

// work is the memory that a request needs while it is judged. It is used again, since
// most of what a request costs is memory that was not touched for long. Nothing in it
// may be part of what is returned.
type work struct {
	before snapshot
	pass   pass
	text   []byte // of the patch
}

// works are those that are not in use.
type works struct{ pool sync.Pool }

// Of a large object that comes once the memory is given back: so many entries,
// decisions, steps and bytes a work may have that is kept.
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

// put forgets the request of a work.
func (w *works) put(used *work) {
	entries, decisions, room := used.before.Entries, used.pass.out.Decisions, used.pass.room
	if cap(entries) > keptEntries || cap(decisions) > keptDecisions || cap(room) > keptViews || cap(used.text) > keptText {
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

// apply applies the rules to the object of a request, and says whether it has to be
// compared with what it was.
//
// The error says that it is not a JSON object.
func (m *Mutator) apply(ctx context.Context, req Request, w *work) (changed bool, err error) {
	decoded, err := w.before.decode(req)
	if err != nil {
		return false, fmt.Errorf("decoding %s: %w", req.Kind.Kind, err)
	}
	p := &w.pass
	m.begin(ctx, p, req, decoded)
	for i := range Rules {
		p.run(ctx, &Rules[i])
	}
	if !p.changed() && p.notes[ProbeKey] == nil {
		return false, nil
	}
	p.record()
	return true, nil
}

// answer is Mutate for a server: the patch as JSON, nil for none, and what was done.
func (m *Mutator) answer(ctx context.Context, req Request) (patch []byte, did map[string]string, warnings []string, err error) {
	w := m.works.get()
	defer m.works.put(w)
	changed, err := m.apply(ctx, req, w)
	if err != nil {
		return nil, nil, nil, err
	}
	if changed {
		if w.text, err = w.before.appendPatch(w.text[:0], w.pass.object); err != nil {
			return nil, nil, nil, fmt.Errorf("encoding the patch for this %s: %w", req.Kind.Kind, err)
		}
		patch = slices.Clone(w.text)
	}
	if m.Observe != nil {
		m.Observe(req.Kind, w.pass.out)
	}
	return patch, w.pass.out.Did(), w.pass.out.Warnings, nil
}
