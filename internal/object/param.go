package object

import "strings"

// maxGrown is by how many bytes a text may grow. No image, flag or script is filled with
// as much, and a small object whose texts all name one long value would make gigabytes.
const maxGrown = 16 << 10

// Values are what Tekton fills in for the parameters of one specification, by name. Of
// those that are known and no text (arrays, objects) the value is nil.
//
// The forms are those of ApplyParameters (tektoncd/pipeline v1.15.0,
// pkg/reconciler/taskrun/resources/apply.go): $(params.x), $(params["x"]),
// $(params['x']) and, of v1beta1, $(inputs.params.x). All are filled in at once: what a
// value brings is not looked at again.
type Values map[string]any

// ValuesOf returns what the given parameters say, or else the defaults of the declared
// ones. Of two of a name the first counts.
func ValuesOf(given, declared []map[string]any) Values {
	values := make(Values, len(given)+len(declared))
	values.add(given, "value")
	values.add(declared, "default")
	return values
}

func (v Values) add(params []map[string]any, key string) {
	for _, param := range params {
		name, _ := param["name"].(string)
		if _, known := v[name]; name == "" || known || param[key] == nil {
			continue
		}
		v[name] = nil
		if text, is := param[key].(string); is {
			v[name] = text
		}
	}
}

// Fill puts values into a text. What is not known, or is no text, stays as it is written.
// So does the whole text if it would become absurdly long: then nobody can tell what it
// will be, and Tekton would have no use for it either.
//
// It takes a time that grows with the text and not with how many values there are.
func (v Values) Fill(text string) string {
	next := strings.Index(text, "$(")
	if next < 0 || len(v) == 0 {
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
		value, length := v.at(rest, next)
		if length == 0 { // not one of them
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

// at returns the value of the expression with which a text begins, and how long the
// expression is; 0 where it is none that has a value. The next expression begins at next,
// -1 for none: a parameter's name holds no other.
func (v Values) at(text string, next int) (value string, length int) {
	if next >= 0 {
		text = text[:next]
	}
	inner := text[len("$("):]
	for _, form := range []struct{ before, after string }{
		{"params.", ")"}, {`params["`, `"])`}, {"params['", "'])"}, {"inputs.params.", ")"},
	} {
		rest, is := strings.CutPrefix(inner, form.before)
		if !is {
			continue
		}
		name, _, closed := strings.Cut(rest, form.after)
		if value, is := v[name].(string); is && closed {
			return value, len("$(") + len(form.before) + len(name) + len(form.after)
		}
	}
	return "", 0
}

// lazyValues are the values of a task, which are put together for the first text that
// needs them.
type lazyValues struct{ values Values }

// Remembering returns the task with its values put together once, as Tasks returns it.
func (t Task) Remembering() Task {
	t.lazy = &lazyValues{}
	return t
}

// Values returns what Tekton fills in for the parameters of the task: what the run gives,
// or else the task's defaults.
func (t Task) Values(r *Reader) Values {
	if t.lazy != nil && t.lazy.values != nil {
		return t.lazy.values
	}
	values := ValuesOf(t.Run.Params, r.FieldsList(t.Spec, "params"))
	if t.lazy != nil {
		t.lazy.values = values
	}
	return values
}

// Fill puts the parameters into a text: what the run gives, or else the task's
// defaults. What is not known stays as it is written. Only texts count, no arrays.
func (t Task) Fill(r *Reader, text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	return t.Values(r).Fill(text)
}
