package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

var misspeltVariableRule = &rule.Rule{
	ID:       "misspelt-variable",
	Severity: rule.Error,
	Before:   "v1.16.0",
	Lenient:  true,
	Kinds:    rule.WithSteps,
	Doc: `Finds variables of Tekton that it does not fill in, since their last word is missing or misspelt, or their
first word is: ` + "`$(workspaces.source)` and `$(workspaces.source.pth)` for `$(workspaces.source.path)`, `$(results.r)`" + `
for ` + "`$(results.r.path)`, `$(context.taskrun.name)` for `$(context.taskRun.name)`, `$(param.x)` for `$(params.x)`" + `.
Tekton leaves them as they stand, and a shell runs them as commands.

Only names that are declared count, so commands of a shell pass, and so do here-documents in the scripts of
a run. The names of the context are those of Tekton Pipelines v1.15.1.`,
	Check: checkMisspeltVariable,
}

func checkMisspeltVariable(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		results := &names{}
		if s.Kind != "Pipeline" {
			results = namesOf(s.Fields, "results")
		}
		for _, use := range s.uses("workspaces", "results", "context", "credentials", "workspace", "result", "param",
			"step", "steps") {
			p.Step(1)
			if remedy := meantBy(s, results, use); remedy != "" {
				p.Report(use.Path, "%s is no variable of Tekton's, so it stays as it is, and a shell runs it as a command: %s",
					use.Text, remedy)
			}
		}
	}
}

// contextVariables are those that Tekton v1.15.1 fills in (docs/variables.md).
var contextVariables = []string{"context.taskRun.name", "context.taskRun.namespace", "context.taskRun.uid",
	"context.task.name", "context.task.retry-count", "context.pipelineRun.name", "context.pipelineRun.namespace",
	"context.pipelineRun.uid", "context.pipeline.name", "context.pipelineTask.retries"}

// meantBy returns the remedy for a variable that does not exist, "" for one that does, or that may be a
// command.
func meantBy(s specification, results *names, use usage) string {
	parts := use.Parts
	switch parts[0] {
	case "workspaces":
		if s.Kind == "Pipeline" && s.Scope.has(parts[1]) {
			return lastWord(parts, "bound", "path", "claim", "volume")
		}
		if s.Scope.has(parts[1]) || use.bound(parts[1]) {
			return lastWord(parts, "path", "bound", "claim", "volume")
		}
	case "results":
		if results.has(parts[1]) {
			return lastWord(parts, "path")
		}
	case "context":
		return meantContext(parts)
	case "credentials":
		if len(parts) == 2 && parts[1] != "path" && suggest.Closest(parts[1], []string{"path"}) != "" {
			return "write $(credentials.path)"
		}
	case "step":
		if len(parts) == 3 && parts[1] == "results" {
			return fmt.Sprintf("write $(%s.path)", strings.Join(parts, "."))
		}
	case "param", "workspace", "result":
		if isDeclared(s, results, parts[0], parts[1]) {
			return fmt.Sprintf("write $(%ss.%s)", parts[0], strings.Join(parts[1:], "."))
		}
	}
	return ""
}

// lastWord says what to write for a variable with three words of which the last is missing or wrong.
func lastWord(parts []string, known ...string) string {
	begin := strings.Join(parts[:2], ".")
	switch {
	case len(parts) == 2:
		return fmt.Sprintf("write $(%s.%s)", begin, known[0])
	case len(parts) == 3 && !slices.Contains(known, parts[2]):
		if best := suggest.Closest(parts[2], known); best != "" {
			return fmt.Sprintf("write $(%s.%s)", begin, best)
		}
		return fmt.Sprintf("known are $(%s.%s)", begin, strings.Join(known, fmt.Sprintf("), $(%s.", begin)))
	}
	return ""
}

func meantContext(parts []string) string {
	name := strings.Join(parts, ".")
	begins := slices.ContainsFunc(contextVariables, func(known string) bool {
		return strings.EqualFold(parts[1], strings.Split(known, ".")[1])
	})
	if !begins || slices.Contains(contextVariables, name) {
		return ""
	}
	if best := suggest.Closest(name, contextVariables); best != "" {
		return fmt.Sprintf("write $(%s)", best)
	}
	return ""
}

// isDeclared reports whether there is a param, workspace or result of a name.
func isDeclared(s specification, results *names, what, name string) bool {
	switch what {
	case "param":
		_, declared := s.Scope.param(name)
		return declared
	case "workspace":
		return s.Scope.has(name)
	}
	return results.has(name)
}
