package validator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/validator"
)

// odd are values that stand where something else is expected.
var odd = []any{nil, "", "$(", "..", json.Number("7"), true, []any{}, []any{nil}, []any{"x"}, map[string]any{},
	map[string]any{"": nil}}

// TestOddShapes puts each odd value in the place of each part of each case's object, and
// judges it by the case's rule with the case's configuration: no rule panics, whatever
// the API server or a file brings. FuzzJudge knows no policies, and goes further with
// all rules at once.
func TestOddShapes(t *testing.T) {
	judged := 0
	for _, folder := range golden.Folders(t) {
		v := load(t, folder)
		s := subject(t, golden.JSON(t, golden.Read(t, folder+"/object.yaml")))
		everyOdd(s.Fields, func(at string) {
			judged++
			defer func() {
				if problem := recover(); problem != nil {
					t.Errorf("%s with an odd value at %s: %v", folder, at, problem)
				}
			}()
			judgeOdd(t, v, s)
		})
	}
	if judged < 1000 {
		t.Errorf("only %d objects were judged", judged)
	}
}

func judgeOdd(t *testing.T, v *validator.Validator, s validator.Subject) {
	t.Helper()
	for _, finding := range v.Judge(t.Context(), s).Findings {
		if finding.Path == "" || finding.Message == "" || strings.ContainsAny(finding.String(), "\r\n") {
			t.Errorf("finding %#v", finding)
		}
	}
}

// everyOdd calls visit with each part of a value replaced by each odd value in turn. It
// leaves the value as it was.
func everyOdd(value any, visit func(at string)) {
	replaceIn(value, "", func(at string, set func(any), part any) {
		for i, other := range odd {
			set(other)
			visit(fmt.Sprintf("%s (odd value %d)", at, i))
		}
		set(part)
	})
}

func replaceIn(value any, at string, replace func(at string, set func(any), part any)) {
	switch v := value.(type) {
	case map[string]any:
		for key, part := range v {
			if at == "" && (key == "apiVersion" || key == "kind") {
				continue // they say which rules are asked
			}
			replace(at+"."+key, func(other any) { v[key] = other }, part)
			replaceIn(part, at+"."+key, replace)
		}
	case []any:
		for i, part := range v {
			replace(fmt.Sprintf("%s[%d]", at, i), func(other any) { v[i] = other }, part)
			replaceIn(part, fmt.Sprintf("%s[%d]", at, i), replace)
		}
	}
}
