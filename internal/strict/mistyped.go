package strict

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/json"
)

// mistyped is an error about values of a wrong type. The decoder names one of them, by its Go type.
// The message names all, by path, in the words of YAML. It is made when it is read, because some
// callers only ask whether there is an error.
type mistyped struct {
	data  []byte
	into  reflect.Type
	cause error
}

func (m *mistyped) Error() string { return errors.Join(m.Unwrap()...).Error() }

// Unwrap returns one error for each value.
func (m *mistyped) Unwrap() []error {
	decoder := stdjson.NewDecoder(bytes.NewReader(m.data))
	decoder.UseNumber()
	var value any
	var found []error
	if decoder.Decode(&value) == nil {
		found = wrong(value, m.into, "")
	}
	if len(found) == 0 {
		found = []error{fmt.Errorf("parsing: %w", m.cause)}
	}
	return found
}

// wrong returns what is wrong with a value at a path and with the values in it.
func wrong(value any, t reflect.Type, path string) []error {
	for t.Kind() == reflect.Pointer {
		if value == nil {
			return nil
		}
		t = t.Elem()
	}
	switch {
	case decodesItself(t):
		return one(itself(value, t, path))
	case value == nil || t.Kind() == reflect.Interface:
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return wrongStruct(value, t, path)
	case reflect.Map:
		return wrongMap(value, t, path)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() != reflect.Uint8 {
			return wrongList(value, t, path)
		}
	}
	return one(scalar(value, t, path))
}

func one(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}

func wrongStruct(value any, t reflect.Type, path string) (all []error) {
	fields, ok := value.(map[string]any)
	if !ok {
		return one(mismatch(path, kindOf(t), value, ""))
	}
	for _, f := range visibleFields(t) {
		name := jsonName(f)
		if v, found := fields[name]; found && name != "" && name != "-" {
			all = append(all, wrong(v, f.Type, below(path, name))...)
		}
	}
	return all
}

func wrongMap(value any, t reflect.Type, path string) (all []error) {
	entries, ok := value.(map[string]any)
	if !ok {
		return one(mismatch(path, kindOf(t), value, ""))
	}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		all = append(all, wrong(entries[key], t.Elem(), below(path, key))...)
	}
	return all
}

func wrongList(value any, t reflect.Type, path string) (all []error) {
	items, ok := value.([]any)
	if !ok {
		remedy := ""
		if kindOf(t.Elem()) == kindOf(reflect.TypeOf(value)) {
			remedy = ": put it in brackets or after a dash"
		}
		return one(mismatch(path, kindOf(t), value, remedy))
	}
	for i, item := range items {
		all = append(all, wrong(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))...)
	}
	return all
}

// scalar checks a string, number or boolean as the decoder does.
func scalar(value any, t reflect.Type, path string) error {
	if decode(value, t) == nil {
		return nil
	}
	_, isText := value.(string)
	switch value.(type) {
	case map[string]any, []any:
		return mismatch(path, kindOf(t), value, "")
	}
	switch {
	case t.Kind() == reflect.String:
		return mismatch(path, kindOf(t), value, ": put it in quotes")
	case isText && json.UnmarshalCaseSensitivePreserveInts([]byte(value.(string)), reflect.New(t).Interface()) == nil:
		return mismatch(path, kindOf(t), value, ": leave the quotes out")
	}
	return mismatch(path, kindOf(t), value, "")
}

// decode returns the decoder's error for a value.
func decode(value any, t reflect.Type) error {
	text, err := stdjson.Marshal(value)
	if err != nil {
		return err
	}
	return json.UnmarshalCaseSensitivePreserveInts(text, reflect.New(t).Interface())
}

// decodesItself reports whether a type reads its own text.
func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[stdjson.Unmarshaler]()) ||
		p.Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]())
}

// itself returns the error of a type that reads its own text, without Go types.
func itself(value any, t reflect.Type, path string) error {
	err := decode(value, t)
	var inside *stdjson.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case strings.HasPrefix(err.Error(), "time: ") || strings.HasSuffix(t.Name(), "Duration"):
		return &FieldError{path, label(path) + "must be a duration such as 30s, 5m or 24h"}
	case errors.As(err, &inside) || strings.HasPrefix(err.Error(), "json: "):
		return mismatch(path, kindOf(t), value, "")
	}
	return &FieldError{path, label(path) + err.Error()}
}

func mismatch(path, want string, value any, remedy string) error {
	return &FieldError{path, fmt.Sprintf("%smust be %s, not %s%s", label(path), want, described(value), remedy)}
}

// label is how a message begins that is about a path.
func label(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// anotherValue is what a type is written as that reads its own text.
const anotherValue = "another value"

// kindOf says in the words of YAML what a type is written as.
func kindOf(t reflect.Type) string {
	if t == nil {
		return "null"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Struct:
		if names := fieldNames(t); len(names) > 0 && !decodesItself(t) {
			return "a mapping with fields such as " + strings.Join(names[:min(3, len(names))], ", ")
		}
		return anotherValue
	case reflect.Map:
		return "a mapping"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a string"
		}
		if item := kindOf(t.Elem()); item != anotherValue {
			return "a list, each item " + item
		}
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(1)<<t.Bits()-1)
	case reflect.Uint, reflect.Uint64:
		return "a whole number from 0"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a string"
}

// described says what a value is. It leaves strings out, which may be secret.
func described(value any) string {
	switch v := value.(type) {
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case bool:
		return fmt.Sprintf("the boolean %t", v)
	case stdjson.Number:
		return "the number " + v.String()
	}
	return "a string"
}
