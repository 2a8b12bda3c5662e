package pipelines

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var paramValueRule = &rule.Rule{
	ID:       "param-value",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds a param whose value the Task or Pipeline does not accept: a text that is not in its enum, and a list
with fewer items than ` + "`$(params.list[2])`" + ` needs. Tekton looks when the run starts, which then fails
(pkg/reconciler/taskrun/validate_taskrun.go, pkg/reconciler/taskrun/resources/validate_params.go).

Where a call gives no value, the default counts. Values with a $(…) in them are passed over.`,
	Check: checkParamValue,
}

func checkParamValue(ctx context.Context, p *rule.Pass) {
	for _, call := range resolvedCalls(ctx, p) {
		if call.Kind == "StepAction" {
			continue
		}
		given := map[string]namedItem{}
		p.Step(1)
		for _, item := range itemsIn(call.Fields, call.Path, "params") {
			given[item.Name] = item
		}
		var lists map[string]int
		for _, param := range itemsIn(call.Target, "", "params") {
			own, is := given[param.Name]
			path, value := own.Path+".value", own.Fields["value"]
			if !is {
				path, value = call.Path, param.Fields["default"]
			}
			switch v := value.(type) {
			case string:
				mustBeInEnum(p, call, param, path, v)
			case []any:
				if lists == nil {
					lists = greatestIndexes(call.Target)
				}
				mustHaveItem(p, call, param.Name, path, v, lists)
			}
		}
	}
}

func mustBeInEnum(p *rule.Pass, call callSite, param namedItem, path, value string) {
	var r object.Reader
	allowed := r.TextList(param.Fields, "enum")
	if len(allowed) == 0 || slices.Contains(allowed, value) || expression.Any(value) {
		return
	}
	p.Report(path, "parameter %q of %s takes %s, and %q is none of them, so the run would fail: %s",
		param.Name, call.target(), strings.Join(allowed, ", "), value,
		remedyFor(p, value, func() []string { return allowed }, "give it one of them"))
}

func mustHaveItem(p *rule.Pass, call callSite, name, path string, items []any, lists map[string]int) {
	index, used := lists[name]
	if !used || index < len(items) {
		return
	}
	for _, item := range items {
		if text, is := item.(string); is && strings.Contains(text, "[*]") {
			return // another list, of a length that is not known
		}
	}
	p.Report(path, "%s uses item %d of parameter %q, counted from 0, and %s gives it %d, so the run would fail: give it more",
		call.target(), index, name, call.Unit, len(items))
}

// greatestIndexes returns the greatest index with which a specification uses each of its params.
func greatestIndexes(fields map[string]any) map[string]int {
	found := map[string]int{}
	for _, use := range usagesIn(fields, "", true, nil, "params") {
		if len(use.Parts) != 3 || !strings.HasPrefix(use.Parts[2], "[") {
			continue
		}
		index, err := strconv.Atoi(strings.Trim(use.Parts[2], "[]"))
		if known, is := found[use.Parts[1]]; err == nil && (!is || index > known) {
			found[use.Parts[1]] = index
		}
	}
	return found
}
