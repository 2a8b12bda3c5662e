// Package strict decodes JSON and YAML that people wrote, and tells them about
// every field that it does not know.
//
// A field that is silently ignored is the worst of errors: a misspelt secretRef
// means that nothing is verified. So unknown and duplicate fields are refused,
// all of them at once, each with its path and, where a known field is spelt
// almost alike, that spelling. Matching is case-sensitive, unlike
// encoding/json's, for "secretref" is a mistake too.
package strict

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/suggest"
)

// FieldError is what is wrong with one field. Its message begins with the field's path, or contains it.
type FieldError struct {
	Path string // such as spec.steps[0].image, "" for the whole
	text string
}

func (e *FieldError) Error() string { return e.text }

// UnmarshalYAML decodes one YAML document into the struct that into points to.
func UnmarshalYAML(data []byte, into any) error {
	raw, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return fmt.Errorf("parsing YAML: %w", err)
	}
	return UnmarshalJSON(raw, into)
}

// UnmarshalJSON decodes one JSON document into the struct that into points to.
// The error joins one sentence per unknown or duplicate field.
func UnmarshalJSON(data []byte, into any) error {
	problems, err := json.UnmarshalStrict(data, into)
	if err != nil {
		return &mistyped{data: data, into: reflect.TypeOf(into), cause: err}
	}
	sentences := make([]error, 0, len(problems))
	for _, p := range problems {
		sentences = append(sentences, explain(p, reflect.TypeOf(into)))
	}
	return errors.Join(sentences...)
}

// Decoded reports whether everything was decoded except the fields that an error of UnmarshalYAML or
// UnmarshalJSON names. It is false if the text cannot be parsed or a value has a wrong type.
func Decoded(err error) bool {
	var early *mistyped
	_, fields := err.(interface{ Unwrap() []error })
	return err == nil || fields && !errors.As(err, &early)
}

func explain(problem error, root reflect.Type) error {
	var field json.FieldError
	if !errors.As(problem, &field) || !strings.HasPrefix(problem.Error(), "unknown field") {
		return problem
	}
	path := splitPath(field.FieldPath())
	if len(path) == 0 {
		return problem
	}
	name := path[len(path)-1]
	at := typeAt(root, path[:len(path)-1])
	known := fieldNames(at)
	if len(known) == 0 {
		return &FieldError{field.FieldPath(), fmt.Sprintf("unknown field %q", field.FieldPath())}
	}
	remedy := suggest.DidYouMean(name, known, "known here are "+strings.Join(written(known), ", "))
	if below := fieldBelow(at, name); below != "" {
		remedy = fmt.Sprintf("did you mean %q?", below)
	}
	return &FieldError{field.FieldPath(), fmt.Sprintf("unknown field %q: %s", field.FieldPath(), remedy)}
}

// written returns the fields that people write, in the order in which they write them.
func written(known []string) []string {
	if len(known) < 2 || known[0] != "kind" || known[1] != "apiVersion" {
		return known
	}
	object := append([]string{"apiVersion", "kind"}, known[2:]...)
	return slices.DeleteFunc(object, func(name string) bool { return name == "status" })
}

// fieldBelow returns the path of a field that one of the fields of a type has, "" for none and for
// several: spec.tasks for tasks beside spec.
func fieldBelow(t reflect.Type, name string) string {
	found := ""
	for _, f := range visibleFields(t) {
		in := f.Type
		if in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		if in.Kind() != reflect.Struct || decodesItself(in) || !slices.Contains(fieldNames(in), name) ||
			jsonName(f) == "status" {
			continue
		}
		if found != "" {
			return ""
		}
		found = jsonName(f) + "." + name
	}
	return found
}

// splitPath turns `a.b[3].c` into its names; indexes are left out, since they
// do not change the type.
func splitPath(path string) []string {
	var names []string
	for part := range strings.SplitSeq(path, ".") {
		name, index, found := strings.Cut(part, "[")
		if name != "" {
			names = append(names, name)
		}
		if key := strings.TrimSuffix(index, "]"); found {
			if _, err := strconv.Atoi(key); err != nil {
				names = append(names, key)
			}
		}
	}
	return names
}

func typeAt(t reflect.Type, path []string) reflect.Type {
	t = structUnder(t)
	for _, name := range path {
		if t == nil {
			return nil
		}
		next := reflect.Type(nil)
		for _, f := range visibleFields(t) {
			if jsonName(f) == name {
				next = f.Type
			}
		}
		t = structUnder(next)
	}
	return t
}

func structUnder(t reflect.Type) reflect.Type {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

func fieldNames(t reflect.Type) []string {
	var names []string
	for _, f := range visibleFields(t) {
		if name := jsonName(f); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// visibleFields returns the fields that a decoder finds in a mapping: those of an embedded struct, unless
// it has a name itself, as metadata has.
func visibleFields(t reflect.Type) []reflect.StructField {
	if t == nil {
		return nil
	}
	var found []reflect.StructField
	for i := range t.NumField() {
		f := t.Field(i)
		in := f.Type
		if in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		if f.Anonymous && jsonName(f) == "" && in.Kind() == reflect.Struct {
			found = append(found, visibleFields(in)...)
			continue
		}
		if f.IsExported() {
			found = append(found, f)
		}
	}
	return found
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}
