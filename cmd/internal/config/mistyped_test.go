package config

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/strict"
)

// No field of the configuration, at any depth, answers a value of another type with a Go type. Each
// error begins with the path of the field.
func TestMistypedFields(t *testing.T) {
	tested := 0
	for _, path := range paths(reflect.TypeFor[Configuration](), nil, nil) {
		for _, value := range []any{"text", 1.5, true, []any{[]any{}}, map[string]any{"a": map[string]any{}}} {
			text, err := json.Marshal(within(path, value))
			if err != nil {
				t.Fatal(err)
			}
			if err = strict.UnmarshalJSON(text, &Configuration{}); err == nil ||
				strings.HasPrefix(err.Error(), "unknown field") {
				continue
			}
			tested++
			where := strings.ReplaceAll(strings.Join(path, "."), ".-", "[0]")
			if strings.Contains(err.Error(), "Go ") || strings.Contains(err.Error(), "json") ||
				!strings.HasPrefix(err.Error(), strings.TrimSuffix(where, ".to[0]")) {
				t.Errorf("%s: %s\n%v", where, text, err)
			}
		}
	}
	if tested < 500 {
		t.Errorf("%d values were refused: the walk over the fields finds too few", tested)
	}
}

// within returns a configuration that has a value at a path.
func within(path []string, value any) any {
	for _, name := range slices.Backward(path) {
		if name == "-" {
			value = []any{value}
			continue
		}
		value = map[string]any{name: value}
	}
	return value
}

// paths returns the paths of all fields. "-" is an item of a list, x a key of a map.
func paths(t reflect.Type, at []string, seen []reflect.Type) (all [][]string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	at = at[:len(at):len(at)]
	if len(at) > 0 {
		all = append(all, at)
	}
	switch t.Kind() {
	case reflect.Struct:
		if slices.Contains(seen, t) {
			return all
		}
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name != "" && name != "-" {
				all = append(all, paths(f.Type, append(at, name), append(seen, t))...)
			}
		}
	case reflect.Map:
		all = append(all, paths(t.Elem(), append(at, "x"), seen)...)
	case reflect.Slice:
		all = append(all, paths(t.Elem(), append(at, "-"), seen)...)
	}
	return all
}
