package containers

import (
	"context"
	"encoding/json"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var matrixTooLargeRule = &rule.Rule{
	ID:       "matrix-too-large",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    rule.WithTasks,
	Doc: `Finds tasks whose matrix makes more combinations than
validator.policy.security.limits.combinations: each is a TaskRun with a Pod, all at
once.

They are counted as Tekton counts them (Matrix.CountCombinations); an array that a
parameter or a result brings counts as one. Without the limit all pass, up to Tekton's
own, which is 256 (default-max-matrix-combinations-count).`,
	Check: checkMatrixTooLarge,
}

func checkMatrixTooLarge(_ context.Context, p *rule.Pass) {
	most := rule.PolicyOf[SecurityPolicy](p).Limits.Combinations
	if most == 0 {
		return
	}
	var r object.Reader
	for _, task := range pipelineTasksIn(p) {
		if count := combinations(r.Fields(task.Fields, "matrix")); count > most {
			p.Report(task.Path+".matrix",
				"the matrix of %s makes %d TaskRuns at once, and validator.policy.security.limits.combinations allows %d: take values out of it",
				task.Unit, count, most)
		}
	}
}

// combinations counts those of a matrix, 0 for what Tekton could not read.
func combinations(fields map[string]any) (count int) {
	defer func() {
		if recover() != nil {
			count = 0
		}
	}()
	var matrix v1.Matrix
	raw, err := json.Marshal(fields)
	if fields == nil || err != nil || json.Unmarshal(raw, &matrix) != nil {
		return 0
	}
	for i, param := range matrix.Params {
		if len(param.Value.ArrayVal) == 1 && strings.Contains(param.Value.ArrayVal[0], "[*])") {
			matrix.Params[i].Value.ArrayVal = nil // unknown, and no less than one
		}
	}
	return matrix.CountCombinations()
}
