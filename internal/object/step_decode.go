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
// the same.
func DecodeAuthored(raw []byte) (map[string]any, error) {
	d := decoder{r: scan.New(raw), whole: string(raw)}
	if fields, ok := d.object(d.authored); ok {
		return fields, nil
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
	return d.object(d.fields)
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
	stack []any // elements of the lists that are being read
}

// object reads the whole text, if it is one object.
func (d *decoder) object(read func() (map[string]any, error)) (map[string]any, bool) {
	if d.r.Kind() != '{' {
		return nil, false
	}
	fields, err := read()
	return fields, err == nil && d.r.End() == nil
}

func (d *decoder) value() (any, error) {
	switch d.r.Kind() {
	case '"':
		return boxed(d.r.StringIn(d.whole))
	case '{':
		return boxed(d.fields())
	case '[':
		return boxed(d.list())
	case 't':
		return true, d.r.Skip()
	case 'f':
		return false, d.r.Skip()
	case 'n':
		return nil, d.r.Skip()
	}
	digits, err := d.r.RawIn(d.whole)
	return json.Number(digits), err
}

func boxed[T any](value T, err error) (any, error) { return value, err }

func (d *decoder) fields() (map[string]any, error) {
	fields := map[string]any{}
	err := d.r.ObjectIn(d.whole, func(key string) (err error) {
		fields[key], err = d.value()
		return err
	})
	return fields, err
}

// authored reads an object without what DecodeAuthored leaves out.
func (d *decoder) authored() (map[string]any, error) {
	fields := map[string]any{}
	err := d.r.ObjectIn(d.whole, func(key string) (err error) {
		switch {
		case key == "status":
			return d.r.Skip()
		case key == "metadata" && d.r.Kind() == '{':
			fields[key], err = d.fieldsBut("managedFields")
		default:
			fields[key], err = d.value()
		}
		return err
	})
	return fields, err
}

func (d *decoder) fieldsBut(name string) (map[string]any, error) {
	fields := map[string]any{}
	err := d.r.ObjectIn(d.whole, func(key string) (err error) {
		if key == name {
			return d.r.Skip()
		}
		fields[key], err = d.value()
		return err
	})
	return fields, err
}

func (d *decoder) list() ([]any, error) {
	start := len(d.stack)
	err := d.r.Array(func() error {
		value, err := d.value()
		d.stack = append(d.stack, value)
		return err
	})
	list := append(make([]any, 0, len(d.stack)-start), d.stack[start:]...)
	d.stack = d.stack[:start]
	return list, err
}
