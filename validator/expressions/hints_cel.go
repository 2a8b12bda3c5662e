package expressions

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// maxExact is the greatest integer that no other number becomes when it is made a double.
const maxExact = 1<<53 - 1

// celHints are sentences about parts of an expression that work for some events and not for
// others, each once. Gitee says whether the forge may be Gitee.
func celHints(checked *ast.AST, gitee bool) []string {
	var hints []string
	asked := typesAsked(checked.Expr())
	walkCEL(checked.Expr(), nil, func(e ast.Expr, s *celScope) {
		for _, hint := range []string{numberAsText(e, s), inexactNumber(e, s), numberForText(checked, e, s, asked)} {
			if hint != "" && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
	})
	return append(hints, nullHints(checked.Expr(), gitee)...)
}

// comparisons are the operators that compare.
var comparisons = []string{operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals,
	operators.Greater, operators.GreaterEquals}

// numberAsText finds string() of what is, or is compared with, a number from a million on.
func numberAsText(e ast.Expr, s *celScope) string {
	path, is := argumentOf(e, "string", s)
	if is && isNumericID(path) {
		return hintOfText(path)
	}
	if !isCall(e, operators.Equals, operators.NotEquals) {
		return ""
	}
	args := argsOf(e)
	for i, arg := range args {
		text, _ := constantText(args[1-i])
		if path, is := argumentOf(arg, "string", s); is && longNumber.MatchString(text) {
			return hintOfText(path)
		}
	}
	return ""
}

func hintOfText(path string) string {
	return fmt.Sprintf("has string(%s): if that is a number of a million or more, it becomes a text such as 1e+06: write string(int(%[1]s))",
		path)
}

// longNumber matches a number from a million on.
var longNumber = lazyregexp.New(`^[1-9][0-9]{6,}$`)

// argumentOf returns what a conversion of a value of the event converts.
func argumentOf(e ast.Expr, function string, s *celScope) (path string, is bool) {
	if !isCall(e, function) || len(argsOf(e)) != 1 {
		return "", false
	}
	return fromEvent(argsOf(e)[0], s)
}

// numericIDs are names of fields that hold numbers in all forges that have them.
var numericIDs = []string{"id", "project_id", "source_project_id", "target_project_id", "author_id",
	"installation_id", "run_id", "hook_id"}

// isNumericID reports whether a field is a number that may be large. Ids of commits are texts.
func isNumericID(path string) bool {
	at := strings.LastIndex(path, ".")
	return strings.HasPrefix(path, "body.") && slices.Contains(numericIDs, path[at+1:]) &&
		!strings.Contains(path[:at], "commit")
}

// isForgeNumber reports whether a field is a number in the payloads of forges, be it a small one.
func isForgeNumber(path string) bool {
	at := strings.LastIndex(path, ".")
	return isNumericID(path) || strings.HasPrefix(path, "body.") && (path[at+1:] == "number" || path[at+1:] == "iid")
}

// doubleKinds are the types of a parameter that takes a number of an event.
var doubleKinds = []cel.Kind{types.DoubleKind, types.DynKind, types.AnyKind, types.TypeParamKind}

// numberForText finds functions of texts that are applied to what forges send as a number. Fields whose types
// the expression asks pass.
func numberForText(checked *ast.AST, e ast.Expr, s *celScope, asked map[string]bool) string {
	if e.Kind() != ast.CallKind || celProblem(checked, e, s).text != "" {
		return ""
	}
	args, number := argsOf(e), ""
	taken := make([]takenValue, len(args))
	for i, arg := range args {
		path, is := fromEvent(arg, s)
		switch {
		case is && isForgeNumber(path) && !asked[path]:
			taken[i], number = takenValue{path: path, kinds: doubleKinds}, path
		case is:
			taken[i] = takenValue{path: path, kinds: jsonKinds, integer: true}
		}
	}
	if number == "" {
		return ""
	}
	if _, fails := misfits(checked, e, taken); !fails {
		return ""
	}
	remedy := fmt.Sprintf("write string(int(%s))", number)
	if strings.Contains(number, "[]") {
		remedy = "put string(int()) around it"
	}
	return fmt.Sprintf("applies %s to %s, which forges send as a number, so it fails (no such overload): %s",
		nameOfFunction(e), number, remedy)
}

// inexactNumber finds comparisons of an event's number with one that a double may not hold.
func inexactNumber(e ast.Expr, s *celScope) string {
	if !isCall(e, comparisons...) {
		return ""
	}
	args := argsOf(e)
	for i, arg := range args {
		path, is := fromEvent(arg, s)
		if !is {
			path, is = argumentOf(arg, "int", s)
		}
		if is && isInexact(args[1-i]) {
			return fmt.Sprintf("compares %s with a number above %d, and Triggers holds no more digits of an event's numbers, "+
				"so others equal it, or none does: compare a text of the event if it has one", path, maxExact)
		}
	}
	return ""
}

func isInexact(e ast.Expr) bool {
	if e.Kind() != ast.LiteralKind {
		return false
	}
	switch v := e.AsLiteral().(type) {
	case types.Int:
		return v > maxExact || v < -maxExact
	case types.Uint:
		return v > maxExact
	case types.Double:
		return v > maxExact || v < -maxExact
	}
	return false
}

// nullHints finds what has() guards, and would be null for some events: has() is true of null.
func nullHints(e ast.Expr, gitee bool) []string {
	guarded, tested := map[string]bool{}, false
	walkCEL(e, nil, func(e ast.Expr, s *celScope) {
		for _, path := range guardedBy(e, s) {
			guarded[path] = true
		}
		tested = tested || hasOf(e, s, gitee) != ""
	})
	if !tested {
		return nil
	}
	var hints []string
	walkCEL(e, nil, func(e ast.Expr, s *celScope) {
		if !isCall(e, operators.LogicalAnd, operators.Conditional) {
			return
		}
		args := argsOf(e)
		used := usedIn(args[1], s)
		walkCEL(args[0], s, func(e ast.Expr, s *celScope) {
			path := hasOf(e, s, gitee)
			hint := fmt.Sprintf("relies on has(%s), which is true where it is null, as forges send it in some events, "+
				"and what follows fails then: add && %[1]s != null", path)
			if path != "" && used[path] && !guarded[path] && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		})
	})
	return hints
}

// hasOf returns what has() tests, if forges are known to send it as null.
func hasOf(e ast.Expr, s *celScope, gitee bool) string {
	if e.Kind() != ast.SelectKind || !e.AsSelect().IsTestOnly() {
		return ""
	}
	path, is := fromEvent(e.AsSelect().Operand(), s)
	path += "." + e.AsSelect().FieldName()
	if is && mayBeNull(path, gitee) {
		return path
	}
	return ""
}

func mayBeNull(path string, gitee bool) bool {
	return slices.Contains(nullable, path) || gitee && slices.Contains(nullOfGitee, path)
}

// guardedBy returns what an expression compares with null, or asks for a field, which null has not.
func guardedBy(e ast.Expr, s *celScope) []string {
	var guarded []string
	switch {
	case e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly():
		if path, is := fromEvent(e.AsSelect().Operand(), s); is {
			guarded = append(guarded, path)
		}
	case isCall(e, operators.Equals, operators.NotEquals, "type"):
		for _, arg := range argsOf(e) {
			if path, is := fromEvent(arg, s); is {
				guarded = append(guarded, path)
			}
		}
	}
	return guarded
}

// usedIn returns what an expression takes a part of, counts or goes through.
func usedIn(e ast.Expr, s *celScope) map[string]bool {
	used := map[string]bool{}
	add := func(e ast.Expr, s *celScope) {
		if path, is := fromEvent(e, s); is {
			used[path] = true
		}
	}
	walkCEL(e, s, func(e ast.Expr, s *celScope) {
		switch {
		case e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly():
			add(e.AsSelect().Operand(), s)
		case e.Kind() == ast.ComprehensionKind:
			add(e.AsComprehension().IterRange(), s)
		case isCall(e, operators.Index, "size"):
			add(argsOf(e)[0], s)
		}
	})
	return used
}
