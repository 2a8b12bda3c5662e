package custom

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

// The limits of an expression, in units of cel-go. Kubernetes has the same for a policy
// (k8s.io/apiserver, pkg/apis/cel/config.go): PerCallLimit when it is evaluated, some 0.1 s, and as
// much as all expressions of an object may cost for what it may cost at worst.
const (
	CostLimit     = 1_000_000
	EstimateLimit = 10_000_000
)

// What an object is taken to hold at most, to estimate the cost: items of a list or fields of a
// map, and characters of a text.
const (
	mostItems      = 100
	mostCharacters = 1_000
)

// environment is what expressions may use: a part of what Kubernetes has (k8s.io/apiserver,
// pkg/cel/environment/base.go, for compatibility version 1.34), and set.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.HomogeneousAggregateLiterals(), cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true),
		cel.EagerlyValidateDeclarations(true), cel.OptionalTypes(),
		ext.Strings(ext.StringsVersion(2)), ext.Sets(), ext.Lists(ext.ListsVersion(3)),
		cel.CustomTypeAdapter(adapter{}), cel.Variable("object", cel.DynType),
	}
	return cel.NewEnv(append(options, setOptions()...)...)
})

// programs are the compiled expressions of a rule.
type programs struct {
	definition Definition
	verdict    cel.Program
	message    cel.Program // nil for none
	usesSet    bool
}

func compile(d Definition) (programs, error) {
	out := programs{definition: d}
	verdict, verdictErr := expression{d.ID, "expression", d.Expression, cel.BoolType}.compile()
	if verdictErr == nil {
		out.usesSet = usesVariable(verdict.ast, "set")
		verdictErr = checkLookUps(verdict.ast, d.ID)
	}
	out.verdict = verdict.program
	if d.MessageExpression == "" {
		return out, verdictErr
	}
	message, messageErr := expression{d.ID, "messageExpression", d.MessageExpression, cel.StringType}.compile()
	if messageErr == nil && usesVariable(message.ast, "set") {
		messageErr = fmt.Errorf(
			"messageExpression: rule %s may use object alone: whoever reads the message may not be allowed to read other objects",
			d.ID,
		)
	}
	out.message = message.program
	return out, errors.Join(verdictErr, messageErr)
}

// expression is one of the expressions of a rule.
type expression struct {
	rule, field, text string
	want              *cel.Type
}

// compiled is what becomes of it.
type compiled struct {
	ast     *cel.Ast
	program cel.Program
}

func (e expression) compile() (compiled, error) {
	switch {
	case strings.TrimSpace(e.text) == "":
		return compiled{}, fmt.Errorf(
			"%s: rule %s has none: write CEL that is true of an object as it should be",
			e.field,
			e.rule,
		)
	case len(e.text) > longest:
		return compiled{}, fmt.Errorf(
			"%s: that of rule %s has %d bytes, and %d are allowed: write several rules",
			e.field,
			e.rule,
			len(e.text),
			longest,
		)
	}
	env, err := environment()
	if err != nil {
		return compiled{}, fmt.Errorf("preparing CEL: %w", err)
	}
	ast, issues := env.Compile(e.text)
	if issues.Err() != nil {
		return compiled{}, fmt.Errorf("%s: rule %s does not compile: %s", e.field, e.rule, firstIssue(issues))
	}
	if have := ast.OutputType(); !have.IsExactType(e.want) && !have.IsExactType(cel.DynType) {
		return compiled{}, fmt.Errorf(
			"%s: rule %s has a result of type %s, and it must be %s",
			e.field,
			e.rule,
			have,
			e.want,
		)
	}
	if err := e.estimate(env, ast); err != nil {
		return compiled{}, err
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(CostLimit),
		cel.CostTracking(lookUpCost{}), cel.InterruptCheckFrequency(100))
	if err != nil {
		return compiled{}, fmt.Errorf("%s: rule %s does not compile: %w", e.field, e.rule, err)
	}
	return compiled{ast, program}, nil
}

func (e expression) estimate(env *cel.Env, ast *cel.Ast) error {
	estimate, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return fmt.Errorf("%s: estimating the cost of rule %s: %w", e.field, e.rule, err)
	}
	if estimate.Max > EstimateLimit {
		return fmt.Errorf(
			"%s: rule %s may cost %d units of CEL where lists have %d items, and %d are allowed: nest fewer loops",
			e.field,
			e.rule,
			estimate.Max,
			mostItems,
			EstimateLimit,
		)
	}
	return nil
}

// firstIssue is the first thing wrong with an expression, and where it is.
func firstIssue(issues *cel.Issues) string {
	first := issues.Errors()[0]
	at := fmt.Sprintf("column %d", first.Location.Column()+1)
	if first.Location.Line() > 1 {
		at = fmt.Sprintf("line %d, %s", first.Location.Line(), at)
	}
	message := strings.TrimPrefix(first.Message, "Syntax error: ")
	for _, tail := range []string{" (in container", " expecting "} {
		message, _, _ = strings.Cut(message, tail)
	}
	return strings.Join(strings.Fields(message), " ") + " at " + at
}

// usesVariable reports whether an expression names a variable that none of its loops declares.
func usesVariable(ast *cel.Ast, name string) bool {
	for _, reference := range ast.NativeRep().ReferenceMap() {
		if reference.Name == name {
			return true
		}
	}
	return false
}

// sizes estimates what the type checker does not know: an object has no schema here.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	most := uint64(mostItems)
	if element.Type().Kind() == types.StringKind || element.Type().Kind() == types.BytesKind {
		most = mostCharacters
	}
	return &checker.SizeEstimate{Min: 0, Max: most}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(
	_, overload string,
	_ *checker.AstNode,
	_ []checker.AstNode,
) *checker.CallEstimate {
	if cost, is := lookUps[overload]; is {
		return &checker.CallEstimate{CostEstimate: checker.CostEstimate{Min: cost, Max: cost}}
	}
	return nil
}

// calls returns the calls of a function.
func calls(ast *cel.Ast, function string) []celast.CallExpr {
	var found []celast.CallExpr
	celast.PostOrderVisit(ast.NativeRep().Expr(), celast.NewExprVisitor(func(e celast.Expr) {
		if e.Kind() == celast.CallKind && e.AsCall().FunctionName() == function {
			found = append(found, e.AsCall())
		}
	}))
	return found
}
