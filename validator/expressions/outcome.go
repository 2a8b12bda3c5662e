package expressions

import (
	"slices"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/tekgate/tekgate/validator/rule"
)

// outcome is the set of results that a part of an expression may have, over all events. It may
// hold too many, and never too few: what it lacks, no event brings about.
type outcome uint8

// The results. Operators such as || and ?: pass over some errors, so a part that always fails does
// not make the whole fail.
const (
	isTrue outcome = 1 << iota
	isFalse
	isOther // any other value
	isEmpty // the empty text in place of a header that no event has
	isError
)

const (
	isBool   = isTrue | isFalse
	isUseful = isBool | isOther
	anything = isUseful | isError
)

// celVerdict is what is known of an expression for all events, as far as its form tells.
type celVerdict struct {
	decisive []string // problems because of which no event passes, or no value comes out
	harmless []string // problems of parts without which the expression still works
}

// celJudge works out the outcomes of the parts of one expression.
type celJudge struct {
	pass     *rule.Pass
	checked  *ast.AST
	outcomes map[int64]outcome
	problems map[int64]celFault
	order    []int64 // of problems
	gathered map[*celScope]outcome
	decisive []string
}

// verdictOf judges an expression of the object once for all rules. A filter works if it can be true,
// and an overlay if it can be anything but false and an error.
func verdictOf(p *rule.Pass, checked *ast.AST, text celText) celVerdict {
	key, want := "verdict of overlay ", isTrue|isOther
	if text.Filter {
		key, want = "verdict of filter ", isTrue
	}
	return rule.Once(p, key+text.Value, func() []celVerdict {
		j := &celJudge{pass: p, checked: checked, outcomes: map[int64]outcome{}, problems: map[int64]celFault{},
			gathered: map[*celScope]outcome{}}
		j.blame(checked.Expr(), nil, want)
		verdict := celVerdict{decisive: j.decisive}
		guarded := typesAsked(checked.Expr())
		for _, id := range j.order {
			problem := j.problems[id]
			if !guarded[problem.path] && !slices.Contains(j.decisive, problem.text) &&
				!slices.Contains(verdict.harmless, problem.text) {
				verdict.harmless = append(verdict.harmless, problem.text)
			}
		}
		return []celVerdict{verdict}
	})[0]
}

// typesAsked returns what an expression asks the type of.
func typesAsked(e ast.Expr) map[string]bool {
	asked := map[string]bool{}
	walkCEL(e, nil, func(e ast.Expr, s *celScope) {
		if path, is := argumentOf(e, "type", s); is {
			asked[path] = true
		}
	})
	return asked
}

// of returns the outcome of a part.
func (j *celJudge) of(e ast.Expr, s *celScope) outcome {
	if known, is := j.outcomes[e.ID()]; is {
		return known
	}
	j.pass.Step(1)
	problem := celProblem(j.checked, e, s)
	if problem.text != "" {
		j.problems[e.ID()] = problem
		j.order = append(j.order, e.ID())
	}
	found := j.work(e, s) // for the problems within, too
	if problem.text != "" {
		found = problem.outcome
	}
	j.outcomes[e.ID()] = found
	return found
}

func (j *celJudge) work(e ast.Expr, s *celScope) outcome {
	switch e.Kind() {
	case ast.LiteralKind:
		if value, is := e.AsLiteral().(types.Bool); is {
			return oneOf(bool(value))
		}
		return isOther
	case ast.IdentKind:
		if v := s.find(e.AsIdent()); v != nil && v.of == nil {
			return j.gathered[v]
		}
		return isUseful
	case ast.CallKind:
		return j.call(e, s)
	case ast.ComprehensionKind:
		return j.macro(e.AsComprehension(), s)
	}
	return j.strict(partsOf(e), s) & j.ofType(e)
}

func oneOf(value bool) outcome {
	if value {
		return isTrue
	}
	return isFalse
}

// ofType returns the outcomes that the type of a part allows.
func (j *celJudge) ofType(e ast.Expr) outcome {
	switch j.checked.GetType(e.ID()).Kind() {
	case types.BoolKind:
		return isBool | isError
	case types.DynKind, types.AnyKind, types.ErrorKind, types.TypeParamKind:
		return anything
	}
	return isOther | isError
}

// partsOf returns what is evaluated for an expression that fails where one of them does.
func partsOf(e ast.Expr) []ast.Expr {
	var parts []ast.Expr
	switch e.Kind() {
	case ast.CallKind:
		parts = argsOf(e)
	case ast.SelectKind:
		parts = []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		parts = e.AsList().Elements()
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			parts = append(parts, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	}
	return parts
}

// strict returns isError where a part always fails, and anything otherwise.
func (j *celJudge) strict(parts []ast.Expr, s *celScope) outcome {
	found := anything
	for _, part := range parts {
		if j.of(part, s) == isError {
			found = isError
		}
	}
	return found
}

func (j *celJudge) call(e ast.Expr, s *celScope) outcome {
	args := argsOf(e)
	switch e.AsCall().FunctionName() {
	case operators.LogicalAnd:
		return negated(either(negated(j.of(args[0], s)), negated(j.of(args[1], s))))
	case operators.LogicalOr:
		return either(j.of(args[0], s), j.of(args[1], s))
	case operators.LogicalNot:
		return negated(j.of(args[0], s))
	case operators.Conditional:
		condition, yes, no := j.of(args[0], s), j.of(args[1], s), j.of(args[2], s)
		found := condition & isError
		if condition&isOther != 0 {
			found |= isError
		}
		if condition&isTrue != 0 {
			found |= yes
		}
		if condition&isFalse != 0 {
			found |= no
		}
		return found
	}
	found := j.strict(args, s)
	if found != isError && len(args) > 1 && (j.of(args[0], s) == isEmpty || j.of(args[1], s) == isEmpty) {
		found = ofEmpty(e, found)
	}
	return found & j.ofType(e)
}

// either is || of two outcomes: true wins over an error, and an error over false.
func either(a, b outcome) outcome {
	found := (a|b)&isTrue | a&b&isFalse
	if (a|b)&^isBool != 0 {
		found |= isError
	}
	return found
}

// negated is ! of an outcome.
func negated(a outcome) outcome {
	found := a &^ isBool
	if a&isTrue != 0 {
		found |= isFalse
	}
	if a&isFalse != 0 {
		found |= isTrue
	}
	return found
}

// ofEmpty returns what comes of comparing the empty text with what is written out.
func ofEmpty(e ast.Expr, otherwise outcome) outcome {
	args := argsOf(e)
	switch {
	case isCall(e, "compareSecret"):
		return isFalse
	case isCall(e, operators.Equals) && (isLongText(args[0]) || isLongText(args[1])),
		isCall(e, "contains", "startsWith", "endsWith") && isLongText(args[1]):
		return isFalse
	case isCall(e, operators.NotEquals) && (isLongText(args[0]) || isLongText(args[1])):
		return isTrue
	case isCall(e, operators.In) && args[1].Kind() == ast.ListKind &&
		!slices.ContainsFunc(args[1].AsList().Elements(), func(e ast.Expr) bool { return !isLongText(e) }):
		return isFalse
	}
	return otherwise
}

// isLongText reports whether an expression is a text that is written out and not empty.
func isLongText(e ast.Expr) bool {
	text, is := constantText(e)
	return is && text != ""
}

// macro returns the outcome of exists(), all() and the like. A predicate that always fails makes the
// whole fail: an empty list alone gets past it, for which nobody writes one.
func (j *celJudge) macro(c ast.ComprehensionExpr, s *celScope) outcome {
	result, inner := scopesOf(c, s)
	overall := j.strict([]ast.Expr{c.IterRange()}, s)
	before := j.of(c.AccuInit(), s)
	j.gathered[result] = before
	after := j.of(c.LoopStep(), inner)
	if overall == isError || after == isError {
		overall = isError
	}
	j.gathered[result] = before | after
	return j.of(c.Result(), result) & (overall | isError)
}

// scopesOf returns the variables for the result of a macro, and those for each item.
func scopesOf(c ast.ComprehensionExpr, s *celScope) (result, inner *celScope) {
	result = &celScope{s, c.AccuVar(), nil}
	return result, &celScope{result, c.IterVar(), c.IterRange()}
}

// blame notes the problems because of which a part has none of the outcomes that are wanted of it.
func (j *celJudge) blame(e ast.Expr, s *celScope, want outcome) {
	if j.of(e, s)&want != 0 {
		return
	}
	if text := j.problems[e.ID()].text; text != "" && !slices.Contains(j.decisive, text) {
		j.decisive = append(j.decisive, text)
	}
	switch {
	case isCall(e, operators.LogicalAnd, operators.LogicalOr):
		for _, arg := range argsOf(e) {
			j.blame(arg, s, want&isBool)
		}
	case isCall(e, operators.LogicalNot):
		j.blame(argsOf(e)[0], s, negated(want&isBool))
	case isCall(e, operators.Conditional):
		j.blameConditional(argsOf(e), s, want)
	case e.Kind() == ast.ComprehensionKind:
		c := e.AsComprehension()
		_, inner := scopesOf(c, s)
		j.blame(c.IterRange(), s, isUseful)
		if j.of(c.LoopStep(), inner) == isError {
			want = isUseful
		}
		j.blame(c.LoopStep(), inner, want)
	default:
		for _, part := range partsOf(e) {
			j.blame(part, s, isUseful)
		}
	}
}

func (j *celJudge) blameConditional(args []ast.Expr, s *celScope, want outcome) {
	j.blame(args[0], s, isBool)
	for i, way := range []outcome{isTrue, isFalse} {
		if j.of(args[1+i], s)&want != 0 {
			j.blame(args[0], s, way)
		} else if j.of(args[0], s)&way != 0 {
			j.blame(args[1+i], s, want)
		}
	}
}
