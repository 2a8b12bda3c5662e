package pipelines

import (
	"context"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// resultTypes are the types of the results that the tasks of a pipeline declare, by task and result.
type resultTypes map[string]map[string]string

// resultTypesOf returns them for those tasks whose Task is known. The results of a task with a matrix are
// lists of what the Task declares, and left out.
func resultTypesOf(ctx context.Context, p *rule.Pass, s specification) resultTypes {
	found := resultTypes{}
	calls := taskCalls(ctx, p)
	for _, task := range s.tasks() {
		call, known := calls[task.Path]
		if !known || task.Fields["matrix"] != nil {
			continue
		}
		types := map[string]string{}
		for _, result := range itemsIn(call.Target, "", "results") {
			types[result.Name] = declaredType(result.Fields)
		}
		found[task.Name] = types
	}
	return found
}

// typeOfValue returns the type that the value of a param has when the run starts, "" where it is not known: the
// value's own, or that of the parameter or result that it refers to as a whole.
func typeOfValue(s *scope, results resultTypes, value any) string {
	text, is := value.(string)
	if !is {
		return valueType(value)
	}
	found := expression.Find(text)
	if len(found) == 0 {
		return "string"
	}
	if len(found) > 1 || found[0].Text != text {
		return "" // a text with something in it, which Tekton makes a text of, unless it is refused
	}
	parts, ok := found[0].Path()
	if !ok {
		return ""
	}
	if last := parts[len(parts)-1]; strings.HasPrefix(last, "[") {
		if last != "[*]" {
			return "" // an item
		}
		parts = parts[:len(parts)-1]
	}
	switch {
	case len(parts) == 2 && parts[0] == "params":
		return typeOfParam(s, parts[1])
	case len(parts) == 4 && parts[0] == "tasks" && parts[2] == "results":
		return results[parts[1]][parts[3]]
	}
	return ""
}

// typeOfParam returns the type that a parameter is declared with.
func typeOfParam(s *scope, name string) string {
	var r object.Reader
	known, declared := s.param(name)
	if !declared || len(known) == 0 {
		return ""
	}
	kind := ""
	for _, param := range known {
		if param == nil {
			return ""
		}
		if own := r.Text(param, "type"); own != "" || param["default"] != nil || param["value"] == nil {
			kind = declaredType(param)
		}
	}
	return kind
}
