package rule

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

// Param is a name with a value, and where it stands.
type Param struct {
	Path  string // of the item of the list: "….params[0]"
	Name  string
	Value any // of any JSON type; nil where there is none
}

// ParamsIn returns the params of anything that has a list of them, in their order.
// The value of one that only declares (a Task's, a TriggerTemplate's) is its default.
func ParamsIn(fields map[string]any, path string) []Param {
	var r object.Reader
	var found []Param
	for i, item := range r.FieldsList(fields, "params") {
		value, given := item["value"]
		if !given {
			value = item["default"]
		}
		found = append(found, Param{path + ".params[" + strconv.Itoa(i) + "]", r.Text(item, "name"), value})
	}
	return found
}

// Text is a text somewhere in decoded JSON.
type Text struct {
	Path  string // below the path that was given
	Value string
}

// TextsIn returns all texts in a value, in the order of their keys and positions. The
// keys themselves are none of them.
func TextsIn(value any, path string) []Text {
	return appendTexts(nil, value, path, "")
}

// ExpressionsIn returns those of TextsIn that may hold an expression.
func ExpressionsIn(value any, path string) []Text {
	return appendTexts(nil, value, path, "$(")
}

func appendTexts(found []Text, value any, path, holding string) []Text {
	switch v := value.(type) {
	case string:
		if strings.Contains(v, holding) {
			return append(found, Text{path, v})
		}
	case []any:
		for i, item := range v {
			if !scalar(item, holding) {
				found = appendTexts(found, item, path+"["+strconv.Itoa(i)+"]", holding)
			}
		}
	case map[string]any:
		var few [16]string // most objects have fewer fields, and then nothing is allocated
		keys := few[:0]
		for key, item := range v {
			if !scalar(item, holding) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		for _, key := range keys {
			found = appendTexts(found, v[key], Join(path, key), holding)
		}
	}
	return found
}

// AnyText reports whether is holds for one of the texts in a value. It is faster than TextsIn, since it puts no
// paths together.
func AnyText(value any, is func(text string) bool) bool {
	switch v := value.(type) {
	case string:
		return is(v)
	case []any:
		for _, item := range v {
			if AnyText(item, is) {
				return true
			}
		}
	case map[string]any:
		for _, item := range v {
			if AnyText(item, is) {
				return true
			}
		}
	}
	return false
}

// scalar tells whether a value can hold no text that is looked for, so that its path need
// not be put together.
func scalar(value any, holding string) bool {
	switch v := value.(type) {
	case string:
		return !strings.Contains(v, holding)
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return true
}

// SortedKeys returns the keys of some fields in their order.
func SortedKeys(fields map[string]any) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Join appends a field to a path. A key that is not a plain field name stands in
// brackets: metadata.labels[app.kubernetes.io/name].
func Join(path, key string) string {
	for _, c := range key {
		if c == '.' || c == '/' || c == '[' || c == ']' || c == ' ' {
			return path + "[" + key + "]"
		}
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Number reads a JSON number of any of the types that decoders make of it.
func Number(value any) (int64, bool) {
	switch n := value.(type) {
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	case int64:
		return n, true
	case float64:
		return int64(n), n == float64(int64(n))
	}
	return 0, false
}

// NameOf returns an object's name, or its generateName.
func NameOf(fields map[string]any) string {
	var r object.Reader
	meta := r.Fields(fields, "metadata")
	if name := r.Text(meta, "name"); name != "" {
		return name
	}
	return r.Text(meta, "generateName")
}
