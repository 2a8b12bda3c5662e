package expressions

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	triggerscel "github.com/tektoncd/triggers/pkg/interceptors/cel"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

// celText is a CEL expression of a cel interceptor.
type celText struct {
	Path, Value string
	Key         string // of an overlay
	Filter      bool
}

// celInterceptorsIn returns the cel interceptors of an object's triggers and groups.
func celInterceptorsIn(p *rule.Pass) []walk.Interceptor {
	var found []walk.Interceptor
	for _, in := range walk.Interceptors(p) {
		if in.Kind == "ClusterInterceptor" && in.Name == "cel" {
			found = append(found, in)
		}
	}
	return found
}

// celTextsOf returns the expressions of a cel interceptor. Names are read without
// regard to case, as encoding/json does it for Triggers.
func celTextsOf(in walk.Interceptor) []celText {
	var found []celText
	for _, p := range rule.ParamsIn(in.Fields, in.Path) { // in their order
		switch strings.ToLower(p.Name) {
		case "filter":
			if value, is := p.Value.(string); is && value != "" {
				found = append(found, celText{Path: p.Path + ".value", Value: value, Filter: true})
			}
		case "overlays":
			found = append(found, overlaysOf(p)...)
		}
	}
	return found
}

func overlaysOf(p rule.Param) []celText {
	var r object.Reader
	var found []celText
	for i, overlay := range r.FieldsList(map[string]any{"value": p.Value}, "value") {
		found = append(found, celText{
			Path: fmt.Sprintf("%s.value[%d]", p.Path, i), Key: r.Text(overlay, "key"),
			Value: r.Text(overlay, "expression"),
		})
	}
	return found
}

// celEnv is the environment of Triggers v0.37.0 (pkg/interceptors/cel/cel.go,
// makeCelEnv), without Secrets.
var celEnv = sync.OnceValues(func() (*cel.Env, error) {
	object := cel.MapType(cel.StringType, cel.DynType)
	return cel.NewEnv(
		triggerscel.Triggers(context.Background(), "", nil),
		ext.Strings(), ext.Encoders(), ext.Sets(), ext.Lists(), ext.Math(),
		cel.Variable("body", object), cel.Variable("header", object), cel.Variable("extensions", object),
		cel.Variable("requestURL", cel.StringType),
	)
})

// compiledCEL is what became of an expression.
type compiledCEL struct {
	ast     *cel.Ast
	problem string
}

// compileCEL compiles an expression of the object once for all rules.
func compileCEL(p *rule.Pass, value string) (ast *cel.Ast, problem string) {
	compiled := rule.Once(p, "cel "+value, func() []compiledCEL {
		p.Step(rule.Look)
		ast, problem := compile(value)
		return []compiledCEL{{ast, problem}}
	})
	return compiled[0].ast, compiled[0].problem
}

// compile compiles an expression as Triggers would. The problem is one line, ""
// where there is none; a nil AST without a problem says that nothing can be told.
func compile(value string) (ast *cel.Ast, problem string) {
	defer func() {
		if recover() != nil { // in the libraries
			ast, problem = nil, ""
		}
	}()
	if strings.TrimSpace(value) == "" {
		return nil, "it is empty"
	}
	env, err := celEnv()
	if err != nil {
		return nil, ""
	}
	ast, issues := env.Compile(value)
	if issues.Err() != nil {
		return nil, firstIssue(issues)
	}
	if _, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize)); err != nil {
		return nil, err.Error()
	}
	return ast, ""
}

// firstIssue is the first thing wrong with an expression, and where it is.
func firstIssue(issues *cel.Issues) string {
	first := issues.Errors()[0]
	at := fmt.Sprintf(" at column %d", first.Location.Column()+1)
	if first.Location.Column() < 0 || first.Location.Line() < 1 { // of no place, such as one that nests too deeply
		at = ""
	} else if first.Location.Line() > 1 {
		at = fmt.Sprintf(" at line %d, column %d", first.Location.Line(), first.Location.Column()+1)
	}
	message := strings.TrimPrefix(first.Message, "Syntax error: ")
	for _, tail := range []string{" (in container", " expecting ", " at: ", " at input "} {
		message, _, _ = strings.Cut(message, tail)
	}
	return quotedInput.ReplaceAllString(message, "input") + at
}

// quotedInput matches a literal in a message: it may be a secret.
var quotedInput = lazyregexp.New(`input '[rRbB]*["'].*`)

// maxCost bounds what evaluating a constant may cost, in units of cel-go's.
const maxCost = 10_000

// constantCEL evaluates an expression without any event. It reports false where the
// result depends on the event, and where it cannot be told.
func constantCEL(ast *cel.Ast) (value any, constant bool) {
	defer func() {
		if recover() != nil { // compareSecret of a constant asks for a Secret
			value, constant = nil, false
		}
	}()
	env, err := celEnv()
	if err != nil || ast == nil {
		return nil, false
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(maxCost))
	if err != nil {
		return nil, false
	}
	var unknown []*cel.AttributePatternType
	for _, name := range []string{"body", "header", "extensions", "requestURL"} {
		unknown = append(unknown, cel.AttributePattern(name))
	}
	event, err := cel.PartialVars(map[string]any{}, unknown...)
	if err != nil {
		return nil, false
	}
	out, _, err := program.Eval(event)
	if err != nil || types.IsUnknownOrError(out) {
		return nil, false
	}
	return out.Value(), true
}
