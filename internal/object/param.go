package object

import "strings"

// Fill puts the parameters into a text: what the run gives, or else the task's
// defaults. What is not known stays as it is written. Only texts count, no arrays.
func (t Task) Fill(r *Reader, text string) string {
	for _, param := range t.Run.Params {
		text = fill(text, param, "value")
	}
	for _, param := range r.FieldsList(t.Spec, "params") {
		text = fill(text, param, "default")
	}
	return text
}

func fill(text string, param map[string]any, key string) string {
	name, _ := param["name"].(string)
	value, is := param[key].(string)
	if name == "" || !is {
		return text
	}
	for _, form := range []string{"$(params." + name + ")", `$(params["` + name + `"])`, "$(params['" + name + "'])",
		"$(inputs.params." + name + ")"} {
		text = strings.ReplaceAll(text, form, value)
	}
	return text
}
