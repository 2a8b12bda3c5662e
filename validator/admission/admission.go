// Package admission asks the code of Tekton's own webhooks what they would refuse, and finds the
// field that each of their messages is about.
//
// Groups of rules that judge the kinds of Tekton Pipelines and of Tekton Triggers share it.
package admission

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"knative.dev/pkg/apis"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/strict"
)

// Object is a type that a webhook of Tekton's judges.
type Object interface {
	apis.Defaultable
	apis.Validatable
}

// Problem is what a webhook finds wrong with one field.
type Problem struct {
	Path string // of the field, such as spec.steps[0].image; "" where the webhook does not name it
	Text string // in the webhook's words; for what cannot be decoded in those of package strict
	// Unknown says that there is no such field.
	Unknown bool
}

// Decode decodes JSON as the webhooks do: strictly, and without regard to the case of a field's
// letters. It explains better than they do what cannot be decoded.
func Decode(raw []byte, into any) []Problem {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	cause := decoder.Decode(into)
	if cause == nil {
		return nil
	}
	err := strict.UnmarshalJSON(raw, into)
	if err == nil {
		err = cause
	}
	list := []error{err}
	if joined, is := err.(interface{ Unwrap() []error }); is { //nolint:errorlint // the outermost error alone is joined
		list = joined.Unwrap()
	}
	var found []Problem
	for _, one := range list {
		problem := Problem{Text: one.Error()}
		var field *strict.FieldError
		if errors.As(one, &field) {
			problem.Path = field.Path
			problem.Unknown = strings.HasPrefix(problem.Text, "unknown field ")
		}
		found = append(found, problem)
	}
	return found
}

// Problems takes the verdict about an object apart. The place of a message is where place says it is, and
// place may be nil; where the message offers several fields, it is the first that the object has.
func Problems(err *apis.FieldError, fields map[string]any, place func(message, path string) string) []Problem {
	if err == nil {
		return nil
	}
	var found []Problem
	for _, one := range err.WrappedErrors() {
		paths := [][]string{one.Paths}
		if !strings.HasPrefix(one.Message, oneOf) && len(one.Paths) > 1 {
			paths = slices.Collect(slices.Chunk(one.Paths, 1)) // Tekton joins equal messages about several fields
		}
		for _, some := range paths {
			found = append(found, problemOf(one, some, fields, place))
		}
	}
	return found
}

// oneOf begins the messages about a choice between fields.
const oneOf = "expected exactly one"

func problemOf(err *apis.FieldError, paths []string, fields map[string]any,
	place func(message, path string) string) Problem {
	problem := Problem{Text: shortened(err.Message)}
	if len(paths) > 0 {
		problem.Text += ": " + strings.Join(paths, ", ")
	}
	if err.Details != "" {
		problem.Text += "; " + shortened(err.Details)
	}
	if len(paths) == 0 {
		paths = []string{""}
	}
	if place != nil {
		paths = slices.Clone(paths)
		for i, path := range paths {
			paths[i] = place(err.Message, path)
		}
	}
	there := func(path string) bool { return path != "" && At(fields, document.ParsePath(path)) != nil }
	problem.Path = paths[max(0, slices.IndexFunc(paths, there))]
	return problem
}

// At returns the value at the steps of a path, see document.ParsePath; nil if there is none.
func At(value any, steps []string) any {
	for _, step := range steps {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// repeated is a text that a message repeats as a whole: what an expression stands in, such as a script.
var repeated = lazyregexp.New(`variable in "(?:[^"\\]|\\.)*"|"(?:[^"\\]|\\.)*\\n(?:[^"\\]|\\.)*"`)

// shortened leaves out texts that a message repeats. Names and paths stay, however long they are.
func shortened(message string) string {
	return repeated.ReplaceAllStringFunc(message, func(quote string) string {
		before, _, _ := strings.Cut(quote, `"`)
		return before + `"…"`
	})
}

// Raw is the JSON of an object as it would reach a webhook: with the name that the API server would make of
// generateName, and without what only the API server writes. Known is the JSON of the fields, or nil; it is
// returned if it is that already. The fields are not changed.
func Raw(fields map[string]any, known []byte) (raw []byte, ok bool) {
	var r object.Reader
	meta := r.Fields(fields, "metadata")
	_, status := fields["status"]
	_, created := meta["creationTimestamp"]
	prefix := r.Text(meta, "generateName")
	named := prefix == "" || r.Text(meta, "name") != ""
	if known != nil && named && !status && !created {
		return known, true
	}
	whole := maps.Clone(fields)
	if meta != nil {
		meta = maps.Clone(meta)
		whole["metadata"] = meta
	}
	if !named {
		meta["name"] = prefix[:min(len(prefix), 58)] + "abcde"
	}
	delete(whole, "status")
	delete(meta, "creationTimestamp")
	raw, err := json.Marshal(whole)
	return raw, err == nil
}
