package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/tekgate/tekgate/internal/scan"
)

// Decode returns one JSON object. Numbers stay as they are written, as
// json.Number, since a float64 has no room for the integers of Kubernetes.
//
// It gives what encoding/json gives, duplicate keys and broken UTF-8 included, at a
// fifth of its price, since every admission pays it. What it returns keeps a copy
// of raw alive: texts are cut from there.
//
// The error says what else raw is.
func Decode(raw []byte) (map[string]any, error) {
	if fields, ok := decodeQuickly(raw); ok {
		return fields, nil
	}
	return decodeSlowly(raw) // it knows what to say
}

// DecodeAuthored is Decode without metadata.managedFields and status, which may be
// most of an object and of which its author writes nothing. They have to be JSON all
// the same. What it returns is also written into trace, unless that is nil.
func DecodeAuthored(raw []byte, trace *Trace) (map[string]any, error) {
	d := decoder{r: scan.New(raw), whole: string(raw), trace: trace}
	if fields, ok := d.object(inAuthored); ok {
		return fields, nil
	}
	if trace != nil {
		trace.Complete = false
	}
	fields, err := decodeSlowly(raw)
	leaveOut(fields)
	return fields, err
}

func leaveOut(fields map[string]any) {
	delete(fields, "status")
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
}

func decodeQuickly(raw []byte) (map[string]any, bool) {
	d := decoder{r: scan.New(raw), whole: string(raw)}
	return d.object(inside)
}

// decodeSlowly is what Decode is held to.
func decodeSlowly(raw []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("null is not an object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return fields, nil
}

// decoder builds what it reads from r; whole is the same text.
type decoder struct {
	r     *scan.Reader
	whole string
	trace *Trace
	stack []any // elements of the lists that are being read
}

// object reads the whole text, if it is one object.
func (d *decoder) object(at place) (map[string]any, bool) {
	if d.r.Kind() != '{' {
		return nil, false
	}
	fields, err := d.fields("", at)
	return fields, err == nil && d.r.End() == nil
}

// place says what is left out of an object.
type place int

const (
	inside     place = iota // nothing
	inAuthored              // status, and of the metadata managedFields
	inMetadata
)

// leavesOut tells whether a field is left out.
func (at place) leavesOut(key string) bool {
	return at == inAuthored && key == "status" || at == inMetadata && key == "managedFields"
}

// below returns the place of a field.
func (at place) below(key string) place {
	if at == inAuthored && key == "metadata" {
		return inMetadata
	}
	return inside
}

// value reads a value, and the key is that of the field that holds it.
func (d *decoder) value(key string, at place) (any, error) {
	switch d.r.Kind() {
	case '"':
		text, err := d.r.StringIn(d.whole)
		return d.leaf(key, text), err
	case '{':
		return boxed(d.fields(key, at))
	case '[':
		return boxed(d.list(key))
	case 't':
		return d.leaf(key, true), d.r.Skip()
	case 'f':
		return d.leaf(key, false), d.r.Skip()
	case 'n':
		return d.leaf(key, nil), d.r.Skip()
	}
	digits, err := d.r.RawIn(d.whole)
	return d.leaf(key, json.Number(digits)), err
}

func boxed[T any](value T, err error) (any, error) { return value, err }

// leaf returns a value that holds no others.
func (d *decoder) leaf(key string, value any) any {
	d.trace.close(d.trace.open(key, value), 0)
	return value
}

func (d *decoder) fields(key string, at place) (map[string]any, error) {
	fields := map[string]any{}
	entry, read := d.trace.open(key, fields), 0
	for name, more, err := d.r.FieldIn(d.whole, true); more || err != nil; name, more, err =
		d.r.FieldIn(d.whole, false) {
		if err != nil {
			return nil, err
		}
		if at.leavesOut(name) {
			if err := d.r.Skip(); err != nil {
				return nil, err
			}
			continue
		}
		value, err := d.value(name, at.below(name))
		if err != nil {
			return nil, err
		}
		fields[name] = value
		read++
	}
	if d.trace != nil && read != len(fields) {
		d.trace.Complete = false // a field came twice, and the last counts
	}
	d.trace.close(entry, read)
	return fields, nil
}

func (d *decoder) list(key string) ([]any, error) {
	start, entry := len(d.stack), d.trace.open(key, []any(nil))
	for more, err := d.r.Element(true); more || err != nil; more, err = d.r.Element(false) {
		if err != nil {
			return nil, err
		}
		value, err := d.value("", inside)
		if err != nil {
			return nil, err
		}
		d.stack = append(d.stack, value)
	}
	list := append(make([]any, 0, len(d.stack)-start), d.stack[start:]...)
	d.stack = d.stack[:start]
	d.trace.close(entry, len(list))
	return list, nil
}
