package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// field reads a field of an expression; absent, or null, it is what stands for it.
func field(of, name, absent string) string {
	return fmt.Sprintf("(has(%[1]s.%[2]s) && %[1]s.%[2]s != null ? %[1]s.%[2]s : %[3]s)", of, name, absent)
}

// text reads a field that is a string.
func text(of, name string) string { return field(of, name, `""`) }

// list reads a field that is a list.
func list(of, name string) string { return field(of, name, "[]") }

// quote writes a string literal.
func quote(s string) string { return strconv.QuoteToASCII(s) }

// quotes writes a list of strings.
func quotes(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, t := range texts {
		quoted = append(quoted, quote(t))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// all joins conditions of which each has to hold; without any it is true.
func all(conditions ...string) string { return join(" && ", "true", conditions) }

// some joins conditions of which one has to hold; without any it is false.
func some(conditions ...string) string { return join(" || ", "false", conditions) }

func join(operator, none string, conditions []string) string {
	conditions = slices.DeleteFunc(slices.Clone(conditions), func(c string) bool { return c == "" })
	switch len(conditions) {
	case 0:
		return none
	case 1:
		return conditions[0]
	}
	return "(" + strings.Join(conditions, operator) + ")"
}

func not(condition string) string { return "!(" + condition + ")" }

// literal writes decoded JSON. CEL wants the elements of a list or map to be of one
// type, and dyn makes them so.
func literal(value any) string {
	switch value := value.(type) {
	case string:
		return quote(value)
	case bool:
		return strconv.FormatBool(value)
	case json.Number:
		return value.String()
	case []any:
		parts := make([]string, 0, len(value))
		for _, element := range value {
			parts = append(parts, "dyn("+literal(element)+")")
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, quote(key)+": dyn("+literal(value[key])+")")
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "null"
}

// decoded returns a value of the configuration as decoded JSON.
func decoded(value any) (map[string]any, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding a part of the configuration: %w", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.UseNumber()
	var fields map[string]any
	return fields, decoder.Decode(&fields)
}

// add writes one operation of a patch, which adds a value, or replaces what is there.
func add(path, value string) string {
	return fmt.Sprintf(`{"path": dyn(%s), "value": dyn(%s)}`, path, value)
}

// remove writes one operation of a patch that removes what is there.
func remove(path string) string { return fmt.Sprintf(`{"path": dyn(%s)}`, path) }

// annotate writes the operation that sets an annotation: see the variable annotated.
func annotate(key, value string) string {
	return add(quote("/metadata/annotations/"+strings.ReplaceAll(key, "/", "~1")), value)
}
