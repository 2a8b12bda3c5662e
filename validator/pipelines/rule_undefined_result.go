package pipelines

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var undefinedResultRule = &rule.Rule{
	ID:       "undefined-result",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds $(results.x.path) where the Task or StepAction declares no result x,
$(step.results.x.path) where the step declares none, and $(steps.s.results.x) where
there is no step s, or it declares no result x.

Tekton refuses the first in scripts alone. Elsewhere it leaves the expression as it
stands, and what is written to such a file is lost.

The results of a step with a ref are those of its StepAction, and are passed over.`,
	Check: checkUndefinedResult,
}

func checkUndefinedResult(_ context.Context, p *rule.Pass) {
	for _, s := range specificationsIn(p) {
		if s.Kind == "Pipeline" {
			continue
		}
		declared, steps := namesOf(s.Fields, "results"), stepResultsOf(s)
		for _, use := range s.uses("results", "steps") {
			switch {
			case use.Parts[0] == "results" && len(use.Parts) == 3 && use.Parts[2] == "path" &&
				!declared.has(use.Parts[1]):
				p.Report(use.Path, "%s refers to a result %q that is not declared, so it is not filled in: %s",
					use.Text, use.Parts[1], remedyFor(p, use.Parts[1], declared.all, "declare it in results"))
			case use.Parts[0] == "steps" && len(use.Parts) >= 4 && use.Parts[2] == "results":
				mustHaveStepResult(p, steps, use)
			}
		}
		checkOwnResults(p, s)
	}
}

// stepResults are what the steps of a specification declare.
type stepResults struct {
	names
	declared map[string]*names // by step; nil for one with a ref
}

func stepResultsOf(s specification) *stepResults {
	var r object.Reader
	found := &stepResults{declared: map[string]*names{}}
	for _, step := range itemsIn(s.Fields, "", "steps") {
		if !found.has(step.Name) && r.Fields(step.Fields, "ref") == nil {
			found.declared[step.Name] = namesOf(step.Fields, "results")
		}
		found.add(step.Name)
	}
	return found
}

func mustHaveStepResult(p *rule.Pass, steps *stepResults, use usage) {
	if !steps.has(use.Parts[1]) {
		p.Report(use.Path, "%s refers to a step %q that does not exist: %s", use.Text, use.Parts[1],
			remedyFor(p, use.Parts[1], steps.all, "correct the name"))
		return
	}
	declared := steps.declared[use.Parts[1]]
	if declared != nil && !declared.has(use.Parts[3]) {
		p.Report(use.Path,
			"%s refers to a result %q that step %q does not declare: %s",
			use.Text, use.Parts[3], use.Parts[1],
			remedyFor(p, use.Parts[3], declared.all, "declare it in results of the step"))
	}
}

// checkOwnResults looks at what each step says of its own results.
func checkOwnResults(p *rule.Pass, s specification) {
	var r object.Reader
	parts := map[string]map[string]any{s.Path: s.Fields}
	order := []string{s.Path}
	if s.Kind == "Task" {
		order = nil
		for i, step := range r.FieldsList(s.Fields, "steps") {
			order = append(order, fmt.Sprintf("%s.steps[%d]", s.Path, i))
			parts[order[i]] = step
		}
	}
	for _, path := range order {
		declared := namesOf(parts[path], "results")
		for _, use := range usagesIn(parts[path], path, s.Run != nil, nil, "step") {
			if len(use.Parts) == 4 && use.Parts[1] == "results" && use.Parts[3] == "path" &&
				!declared.has(use.Parts[2]) {
				p.Report(use.Path,
					"%s refers to a result %q that this step does not declare, so it is not filled in: %s",
					use.Text, use.Parts[2],
					remedyFor(p, use.Parts[2], declared.all, "declare it in results of the step"))
			}
		}
	}
}
