package object

import (
	"encoding/json"
	"strconv"
	"strings"
)

// maxGrown is by how many bytes a text may grow. No image, flag or script is filled with
// as much, and a small object whose texts all name one long value would make gigabytes.
const maxGrown = 16 << 10

// Values are the values that Tekton fills in, by what follows "params." in an expression:
// x, x[0] or x.key. A value is a text, a []string, a map[string]string, or nil if there is
// one that nobody knows.
type Values map[string]any

// layers are values of which the first that has a name counts.
type layers []Values

func (l layers) get(key string) (any, bool) {
	for _, values := range l {
		if value, is := values[key]; is {
			return value, true
		}
	}
	return nil, false
}

// first returns the first value that is of a type: Tekton keeps texts, arrays and objects
// apart. It reports false also for one that nobody knows.
func first[T any](l layers, key string) (T, bool) {
	for _, values := range l {
		switch value := values[key].(type) {
		case nil:
			if _, unknown := values[key]; unknown {
				return *new(T), false
			}
		case T:
			return value, true
		}
	}
	return *new(T), false
}

// set adds a value, and those of its elements and keys.
func (v Values) set(name string, value any) {
	v[name] = value
	switch value := value.(type) {
	case []string:
		for i, text := range value {
			v[name+"["+strconv.Itoa(i)+"]"] = text
		}
	case map[string]string:
		for key, text := range value {
			v[name+"."+key] = text
		}
	}
}

// valueOf returns a value as Tekton reads it from JSON, nil for any that it does not take.
func valueOf(raw any) any {
	switch raw := raw.(type) {
	case string:
		return raw
	case json.Number:
		return raw.String()
	case bool:
		return strconv.FormatBool(raw)
	case []any:
		list := make([]string, 0, len(raw))
		for _, item := range raw {
			text, is := item.(string)
			if !is {
				return nil
			}
			list = append(list, text)
		}
		return list
	case map[string]any:
		object := make(map[string]string, len(raw))
		for key, item := range raw {
			text, is := item.(string)
			if !is {
				return nil
			}
			object[key] = text
		}
		return object
	}
	return nil
}

// given returns the values of parameters that a run or a pipeline's task gives. Of two of a
// name the last counts.
func given(params []map[string]any, around layers) Values {
	values := make(Values, len(params))
	for _, param := range params {
		if name, _ := param["name"].(string); name != "" && param["value"] != nil {
			values.set(name, around.value(valueOf(param["value"])))
		}
	}
	return values
}

// value fills a value as Tekton does (ParamValue.ApplyReplacements of v1.15.0): a text that
// is one expression may become an array or an object.
func (l layers) value(value any) any {
	switch value := value.(type) {
	case string:
		key, single := onlyKey(value, false)
		if !single {
			return l.fill(value, false)
		}
		found, is := l.get(strings.TrimSuffix(key, "[*]"))
		switch {
		case !is:
			return value
		case found == nil:
			return nil
		}
		return found
	case []string:
		filled := make([]string, 0, len(value))
		for _, text := range value {
			filled = append(filled, l.words(text, false)...)
		}
		return filled
	case map[string]string:
		filled := make(map[string]string, len(value))
		for key, text := range value {
			filled[key] = l.fill(text, false)
		}
		return filled
	}
	return value
}

// words fills a word of a command or of arguments, which may become any number of them.
func (l layers) words(text string, inputs bool) []string {
	if key, single := onlyKey(text, inputs); single {
		if list, is := first[[]string](l, strings.TrimSuffix(key, "[*]")); is {
			return list
		}
	}
	return []string{l.fill(text, inputs)}
}

// fill puts values into a text. What is not known, or is no text, stays as it is written.
// So does the whole text if it would become absurdly long: then nobody can tell what it
// will be, and Tekton would have no use for it either. All are filled in at once: what a
// value brings is not looked at again.
//
// It takes a time that grows with the text and not with how many values there are.
func (l layers) fill(text string, inputs bool) string {
	next := strings.Index(text, "$(")
	if next < 0 || len(l) == 0 {
		return text
	}
	var filled strings.Builder
	rest := text
	for next >= 0 {
		filled.WriteString(rest[:next])
		rest = rest[next:]
		next = strings.Index(rest[2:], "$(")
		if next >= 0 {
			next += 2
		}
		key, length := keyAt(rest, next, inputs)
		value, is := first[string](l, key)
		if length == 0 || !is {
			continue
		}
		filled.WriteString(value)
		rest = rest[length:]
		next = max(next-length, -1)
		if filled.Len()+len(rest) > maxGrown+len(text) {
			return text
		}
	}
	filled.WriteString(rest)
	return filled.String()
}

// onlyKey returns the key of a text that is one expression and nothing else.
func onlyKey(text string, inputs bool) (string, bool) {
	key, length := keyAt(text, -1, inputs)
	return key, length > 0 && length == len(text) && !strings.Contains(key, "$(")
}

// keyAt returns the key, among Values, of the expression with which a text begins, and how
// long the expression is; 0 for none. The next expression begins at next, -1 for none: a
// parameter's name holds no other. The forms are $(params.x), $(params["x"]),
// $(params['x']) and, within tasks, $(inputs.params.x) of v1beta1.
func keyAt(text string, next int, inputs bool) (key string, length int) {
	if next >= 0 {
		text = text[:next]
	}
	inner, is := strings.CutPrefix(text, "$(")
	if !is {
		return "", 0
	}
	for _, form := range []struct{ before, after string }{
		{"params.", ""}, {`params["`, `"]`}, {"params['", "']"}, {"inputs.params.", ""},
	} {
		rest, is := strings.CutPrefix(inner, form.before)
		if !is || form.before == "inputs.params." && !inputs {
			continue
		}
		name, suffix := "", rest
		if form.after != "" {
			if name, suffix, is = strings.Cut(rest, form.after); !is {
				continue
			}
		}
		suffix, _, closed := strings.Cut(suffix, ")")
		if closed {
			return name + suffix, len("$(") + len(form.before) + len(name) + len(form.after) + len(suffix) + len(")")
		}
	}
	return "", 0
}
