package object

import "slices"

// Trace is what an object held when it was read. Who edits an object in place can
// compare it with its trace afterwards, which is much cheaper than a second object:
// texts are shared, since edits replace them.
type Trace struct {
	Entries []Entry // each container before what it holds
	// Complete says whether Entries are all of the object, which they are not where
	// it has a field twice.
	Complete bool
}

// Entry is a value as it was.
type Entry struct {
	Key   string // within the object that holds it; "" in a list
	Value any    // of a container its type alone counts
	Size  int    // how many values a container holds
	Next  int    // the index after the last entry of what it holds
}

// open adds a value, and returns its index. A trace that is nil stays so.
func (t *Trace) open(key string, value any) int {
	if t == nil {
		return 0
	}
	if len(t.Entries) == cap(t.Entries) { // twice as many, since append leaves more behind
		t.Entries = slices.Grow(t.Entries, max(64, len(t.Entries)))
	}
	t.Entries = append(t.Entries, Entry{Key: key, Value: value})
	return len(t.Entries) - 1
}

// close says that a value is read, and how many it holds.
func (t *Trace) close(at, size int) {
	if t != nil {
		t.Entries[at].Size, t.Entries[at].Next = size, len(t.Entries)
	}
}
