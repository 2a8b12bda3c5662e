package admission

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/validator/rule"
)

// Spelled returns an object of Tekton Triggers with its fields' names as Triggers writes them. The API
// server keeps all names of these kinds (their CRDs preserve unknown fields), and Triggers' webhook decodes
// names in any case and writes them back so: resourceTemplates works as resourcetemplates. An object
// whose names are in order already is returned as it is.
//
// Names in metadata, in objects that a template creates and in free-form values stay: others decode them.
func Spelled(kind schema.GroupVersionKind, fields map[string]any) (spelled map[string]any, changed bool) {
	if kind.Group != rule.TriggersGroup {
		return fields, false
	}
	empty, known := triggersTypes[kind]
	if !known {
		return fields, false
	}
	value := spell(fields, reflect.TypeOf(empty()).Elem())
	spelled, ok := value.(map[string]any)
	if !ok {
		return fields, false
	}
	return spelled, reflect.ValueOf(spelled).Pointer() != reflect.ValueOf(fields).Pointer()
}

// spell returns the very same value where nothing is to be changed.
func spell(value any, t reflect.Type) any {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return value
	}
	switch t.Kind() {
	case reflect.Struct:
		if fields, is := value.(map[string]any); is {
			return spellFields(fields, t)
		}
	case reflect.Slice:
		if items, is := value.([]any); is {
			return spellItems(items, t.Elem())
		}
	}
	return value
}

func spellFields(fields map[string]any, t reflect.Type) map[string]any {
	known := namesOf(t)
	result := fields
	for key, value := range fields {
		name, field := key, known[key]
		if field == nil {
			name, field = foldedName(known, key)
		}
		if field == nil || name == "metadata" {
			continue
		}
		if _, twice := fields[name]; twice && name != key {
			continue
		}
		own := spell(value, field)
		if name == key && same(own, value) {
			continue
		}
		if reflect.ValueOf(result).Pointer() == reflect.ValueOf(fields).Pointer() {
			result = maps.Clone(fields)
		}
		delete(result, key)
		result[name] = own
	}
	return result
}

func spellItems(items []any, t reflect.Type) []any {
	result, cloned := items, false
	for i, item := range items {
		own := spell(item, t)
		if same(own, item) {
			continue
		}
		if !cloned {
			result, cloned = slices.Clone(items), true
		}
		result[i] = own
	}
	return result
}

// same reports whether spell returned what it was given.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if !x.IsValid() || !y.IsValid() || x.Kind() != y.Kind() {
		return x.IsValid() == y.IsValid()
	}
	if x.Kind() == reflect.Map || x.Kind() == reflect.Slice {
		return x.Pointer() == y.Pointer()
	}
	return true
}

func foldedName(known map[string]reflect.Type, key string) (string, reflect.Type) {
	for name, field := range known {
		if strings.EqualFold(name, key) {
			return name, field
		}
	}
	return key, nil
}

var names sync.Map // of reflect.Type, to map[string]reflect.Type

// namesOf returns the types of a struct's fields by their names in JSON.
func namesOf(t reflect.Type) map[string]reflect.Type {
	if known, is := names.Load(t); is {
		return known.(map[string]reflect.Type)
	}
	found := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		in := f.Type
		for in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		switch {
		case f.Anonymous && name == "" && in.Kind() == reflect.Struct:
			maps.Copy(found, namesOf(in))
		case name != "" && name != "-":
			found[name] = f.Type
		}
	}
	names.Store(t, found)
	return found
}

// AsWritten returns a path in a spelled object as it is in the object that was given.
func AsWritten(fields map[string]any, path string) string {
	var value any = fields
	var written strings.Builder
	for _, step := range document.ParsePath(path) {
		switch v := value.(type) {
		case map[string]any:
			if _, there := v[step]; !there {
				for key := range v {
					if strings.EqualFold(key, step) {
						step = key
					}
				}
			}
			value = v[step]
		default:
			list, _ := value.([]any)
			i, err := strconv.Atoi(step)
			value = nil
			if err == nil {
				if i >= 0 && i < len(list) {
					value = list[i]
				}
				written.WriteString("[" + step + "]")
				continue
			}
		}
		joined := rule.Join("", step)
		if written.Len() > 0 && !strings.HasPrefix(joined, "[") {
			written.WriteByte('.')
		}
		written.WriteString(joined)
	}
	return written.String()
}
