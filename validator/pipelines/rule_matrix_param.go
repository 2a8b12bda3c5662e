package pipelines

import (
	"context"
	"fmt"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var matrixParamRule = &rule.Rule{
	ID:       "matrix-param",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTasks,
	Doc: `Finds params of a matrix that Tekton refuses when the run starts: a text or a parameter of the type string
in matrix.params, which has to be lists; a list in matrix.include, which has to be texts; and a param of a
matrix that the Task declares as a list or an object, since each run gets one item
(pkg/reconciler/pipelinerun/resources/validate_params.go, pkg/reconciler/taskrun/validate_taskrun.go).

Results, and parameters whose type is not known, pass.`,
	Check: checkMatrixParam,
}

func checkMatrixParam(ctx context.Context, p *rule.Pass) {
	var r object.Reader
	calls := taskCalls(ctx, p)
	for _, s := range specificationsIn(p) {
		for _, task := range s.tasks() {
			matrix := r.Fields(task.Fields, "matrix")
			if matrix == nil {
				continue
			}
			types := map[string]string{}
			for _, param := range itemsIn(calls[task.Path].Target, "", "params") {
				types[param.Name] = declaredType(param.Fields)
			}
			for _, param := range itemsIn(matrix, task.Path+".matrix", "params") {
				kind := typeOfValue(s.Scope, nil, param.Fields["value"])
				switch want := types[param.Name]; {
				case kind == "string" || kind == "object":
					p.Report(param.Path+".value",
						"the matrix of %s takes lists, and param %q is of the type %s, so the run would fail: write a list",
						task.unit(), param.Name, kind)
				case want == "array" || want == "object":
					p.Report(param.Path,
						"each run of the matrix gets one text for param %q, which %s declares with the type %s, so the run would fail: declare it as a string, or give it in params",
						param.Name, calls[task.Path].target(), want)
				}
			}
			for i, include := range r.FieldsList(matrix, "include") {
				for _, param := range itemsIn(include, fmt.Sprintf("%s.matrix.include[%d]", task.Path, i), "params") {
					if kind := typeOfValue(s.Scope, nil, param.Fields["value"]); kind == "array" || kind == "object" {
						p.Report(param.Path+".value",
							"include of a matrix takes texts, and param %q of %s is of the type %s, so the run would fail: write a text",
							param.Name, task.unit(), kind)
					}
				}
			}
		}
	}
}
