// Package snapshot remembers an object that is about to be edited in place, and writes
// the JSON Patch from what it was to what it is.
package snapshot

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/scan"
)

// Object remembers an object that is about to be edited in place, so that it can be
// compared afterwards. The decoder writes it as it reads; where it could not, take does.
type Object struct{ object.Trace }

// unseen takes the place of a value that is not remembered.
type unseen struct{}

// Decode reads an object from its JSON and remembers it. Authored leaves status and
// metadata.managedFields out of it.
func (s *Object) Decode(raw []byte, authored bool) (fields map[string]any, err error) {
	s.Complete = authored
	if authored {
		fields, err = object.DecodeAuthored(raw, &s.Trace)
	} else {
		fields, err = object.Decode(raw)
	}
	if err == nil && !s.Complete {
		s.take(fields)
	}
	return fields, err
}

// take remembers an object but for status and metadata.managedFields, which may be
// larger than all the rest. No rule writes there; of one that did, the tests would
// find that its change is not in the patch.
func (s *Object) take(whole map[string]any) {
	s.Entries = s.Entries[:0]
	s.fields("", whole, func(key string, value any) {
		metadata, is := value.(map[string]any)
		switch {
		case key == "status":
			s.Entries = append(s.Entries, object.Entry{Key: key, Value: unseen{}, Next: len(s.Entries) + 1})
		case key == "metadata" && is:
			s.fields(key, metadata, func(key string, value any) {
				if key == "managedFields" {
					value = unseen{}
				}
				s.add(key, value)
			})
		default:
			s.add(key, value)
		}
	})
}

func (s *Object) fields(key string, fields map[string]any, add func(string, any)) {
	at := len(s.Entries)
	s.Entries = append(s.Entries, object.Entry{Key: key, Value: fields, Size: len(fields)})
	for key, value := range fields {
		add(key, value)
	}
	s.Entries[at].Next = len(s.Entries)
}

func (s *Object) add(key string, value any) {
	switch value := value.(type) {
	case map[string]any:
		s.fields(key, value, s.add)
	case []any:
		at := len(s.Entries)
		s.Entries = append(s.Entries, object.Entry{Key: key, Value: value, Size: len(value)})
		for _, element := range value {
			s.add("", element)
		}
		s.Entries[at].Next = len(s.Entries)
	default:
		s.Entries = append(s.Entries, object.Entry{Key: key, Value: value, Next: len(s.Entries) + 1})
	}
}

// AppendPatch appends the operations of RFC 6902, as JSON, that make of the object as it
// was the one that it is now, nothing where there are none. Every object is compared by
// its keys, every list from both of its ends, since rules add to the beginning and the
// end of lists.
//
// The error is that of encoding/json about a value that a rule has set.
func (s *Object) AppendPatch(out []byte, now map[string]any) ([]byte, error) {
	begin := len(out)
	d := difference{entries: s.Entries, text: append(out, '[')}
	d.value(0, now)
	if d.err != nil || len(d.text) == begin+1 {
		return out, d.err
	}
	return append(d.text, ']'), nil
}

type difference struct {
	entries []object.Entry
	path    []byte // the JSON pointer of the value that is compared
	text    []byte // of the operations; begins with [
	err     error
}

func (d *difference) operation(op string, value any) {
	if last := d.text[len(d.text)-1]; last != '[' {
		d.text = append(d.text, ',')
	}
	d.text = append(append(append(d.text, `{"op":"`...), op...), `","path":`...)
	d.text = scan.AppendQuoted(d.text, d.path)
	if op != "remove" {
		text, err := scan.AppendValue(append(d.text, `,"value":`...), value)
		if err != nil {
			d.err = err
			return
		}
		d.text = text
	}
	d.text = append(d.text, '}')
}

// below runs do with the path of a field.
func (d *difference) below(key string, do func()) {
	length := len(d.path)
	d.path = append(d.path, '/')
	for i := range len(key) {
		switch key[i] {
		case '~':
			d.path = append(d.path, "~0"...)
		case '/':
			d.path = append(d.path, "~1"...)
		default:
			d.path = append(d.path, key[i])
		}
	}
	do()
	d.path = d.path[:length]
}

// value compares the value of an entry.
func (d *difference) value(at int, now any) {
	switch was := d.entries[at].Value.(type) {
	case unseen:
		return
	case map[string]any:
		if fields, ok := now.(map[string]any); ok {
			d.fields(at, fields)
			return
		}
	case []any:
		if list, ok := now.([]any); ok {
			d.list(at, list)
			return
		}
	default:
		if was == now {
			return
		}
	}
	d.operation("replace", now)
}

func (d *difference) fields(at int, now map[string]any) {
	kept := 0
	for i := at + 1; i < d.entries[at].Next; i = d.entries[i].Next {
		value, has := now[d.entries[i].Key]
		d.below(d.entries[i].Key, func() {
			if !has {
				d.operation("remove", nil)
				return
			}
			kept++
			d.value(i, value)
		})
	}
	if kept == len(now) {
		return
	}
	for _, key := range d.added(at, now) {
		d.below(key, func() { d.operation("add", now[key]) })
	}
}

// added returns the fields that an object did not have, sorted.
func (d *difference) added(at int, now map[string]any) []string {
	if d.entries[at].Size > 16 { // where looking for each in turn would take long
		left := maps.Clone(now)
		for i := at + 1; i < d.entries[at].Next; i = d.entries[i].Next {
			delete(left, d.entries[i].Key)
		}
		return slices.Sorted(maps.Keys(left))
	}
	var added []string
	for key := range now {
		if !d.had(at, key) {
			added = append(added, key)
		}
	}
	slices.Sort(added)
	return added
}

func (d *difference) had(at int, key string) bool {
	for i := at + 1; i < d.entries[at].Next; i = d.entries[i].Next {
		if d.entries[i].Key == key {
			return true
		}
	}
	return false
}

// list compares element by element what is left between a common beginning and a
// common end, and adds or removes what one side has more.
func (d *difference) list(at int, now []any) {
	was := make([]int, 0, d.entries[at].Size)
	for i := at + 1; i < d.entries[at].Next; i = d.entries[i].Next {
		was = append(was, i)
	}
	first, last := 0, 0 // how many are the same at both ends
	if len(was) != len(now) {
		shorter := min(len(was), len(now))
		for first < shorter && d.equal(was[first], now[first]) {
			first++
		}
		for last < shorter-first && d.equal(was[len(was)-1-last], now[len(now)-1-last]) {
			last++
		}
	}
	both := min(len(was), len(now)) - last
	for i := first; i < both; i++ {
		d.below(strconv.Itoa(i), func() { d.value(was[i], now[i]) })
	}
	for i := both; i < len(now)-last; i++ {
		d.below(strconv.Itoa(i), func() { d.operation("add", now[i]) })
	}
	for i := len(was) - last - 1; i >= both; i-- {
		d.below(strconv.Itoa(i), func() { d.operation("remove", nil) })
	}
}

// equal tells whether a value is what it was.
func (d *difference) equal(at int, now any) bool {
	switch was := d.entries[at].Value.(type) {
	case unseen:
		return true
	case map[string]any:
		fields, ok := now.(map[string]any)
		if !ok || len(fields) != d.entries[at].Size {
			return false
		}
		for i := at + 1; i < d.entries[at].Next; i = d.entries[i].Next {
			value, has := fields[d.entries[i].Key]
			if !has || !d.equal(i, value) {
				return false
			}
		}
		return true
	case []any:
		list, ok := now.([]any)
		if !ok || len(list) != d.entries[at].Size {
			return false
		}
		for i, element := at+1, 0; i < d.entries[at].Next; i, element = d.entries[i].Next, element+1 {
			if !d.equal(i, list[element]) {
				return false
			}
		}
		return true
	default:
		return was == now
	}
}
