package expressions

import (
	"cmp"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/decls"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
)

// celScope is the variable that a macro such as exists() declares, within the variables around
// it. A nil scope is that of the whole expression.
type celScope struct {
	outer *celScope
	name  string
	of    ast.Expr // what the variable takes its values from; nil for the result that a macro gathers
}

func (s *celScope) find(name string) *celScope {
	for ; s != nil; s = s.outer {
		if s.name == name {
			return s
		}
	}
	return nil
}

// walkCEL visits an expression and all parts of it, those of macros as what they expand to.
func walkCEL(e ast.Expr, s *celScope, visit func(e ast.Expr, s *celScope)) {
	visit(e, s)
	switch e.Kind() {
	case ast.CallKind:
		for _, arg := range argsOf(e) {
			walkCEL(arg, s, visit)
		}
	case ast.SelectKind:
		walkCEL(e.AsSelect().Operand(), s, visit)
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			walkCEL(item, s, visit)
		}
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			walkCEL(entry.AsMapEntry().Key(), s, visit)
			walkCEL(entry.AsMapEntry().Value(), s, visit)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		walkCEL(c.IterRange(), s, visit)
		walkCEL(c.AccuInit(), s, visit)
		result := &celScope{s, c.AccuVar(), nil}
		inner := &celScope{result, c.IterVar(), c.IterRange()}
		walkCEL(c.LoopCondition(), inner, visit)
		walkCEL(c.LoopStep(), inner, visit)
		walkCEL(c.Result(), result, visit)
	}
}

// argsOf returns the arguments of a call, what a method is called on first.
func argsOf(e ast.Expr) []ast.Expr {
	call := e.AsCall()
	if call.IsMemberFunction() {
		return append([]ast.Expr{call.Target()}, call.Args()...)
	}
	return call.Args()
}

// isCall reports whether an expression calls one of some functions or operators.
func isCall(e ast.Expr, names ...string) bool {
	return e.Kind() == ast.CallKind && slices.Contains(names, e.AsCall().FunctionName())
}

// fromEvent returns what an expression takes from an event, such as body.commits[].id, and
// whether it takes just that. Such values are decoded JSON: null, a boolean, a double, a string,
// a list or a map, and never an integer.
func fromEvent(e ast.Expr, s *celScope) (path string, is bool) { return fromEventIn(e, s, maxPath) }

// maxPath is how many parts of a path are followed: a longer one is no event's.
const maxPath = 32

func fromEventIn(e ast.Expr, s *celScope, most int) (path string, is bool) {
	if most == 0 {
		return "", false
	}
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if v := s.find(name); v != nil {
			if v.of == nil {
				return "", false
			}
			path, is = fromEventIn(v.of, v.outer, most-1)
			return path + "[]", is
		}
		return name, name == "body" || name == "header" || name == "extensions"
	case ast.SelectKind:
		path, is = fromEventIn(e.AsSelect().Operand(), s, most-1)
		return path + "." + e.AsSelect().FieldName(), is && !e.AsSelect().IsTestOnly()
	case ast.CallKind:
		return fromCall(e, s, most-1)
	}
	return "", false
}

func fromCall(e ast.Expr, s *celScope, most int) (path string, is bool) {
	args := argsOf(e)
	switch e.AsCall().FunctionName() {
	case operators.Index:
		path, is = fromEventIn(args[0], s, most)
		if key, text := constantText(args[1]); text {
			return path + "." + key, is
		}
		return path + "[]", is
	case operators.Conditional:
		path, is = fromEventIn(args[1], s, most)
		_, both := fromEventIn(args[2], s, most)
		return path, is && both
	case "parseJSON", "parseYAML":
		return e.AsCall().FunctionName() + "()", true
	}
	return "", false
}

// constantText returns a literal text.
func constantText(e ast.Expr) (text string, is bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	value, is := e.AsLiteral().(types.String)
	return string(value), is
}

// jsonKinds are the types of a parameter that takes a value of decoded JSON.
var jsonKinds = []cel.Kind{types.BoolKind, types.DoubleKind, types.StringKind, types.ListKind, types.MapKind,
	types.NullTypeKind, types.DynKind, types.AnyKind, types.TypeParamKind}

// celFunctions are the functions and operators of Triggers' environment, none if there is no such
// environment.
var celFunctions = sync.OnceValue(func() map[string]*decls.FunctionDecl {
	env, err := celEnv()
	if err != nil {
		return nil
	}
	return env.Functions()
})

// noOverload reports whether a call fails for every event: it takes something from the event, and
// no form of the function takes what JSON can hold in that place. It returns what that is, and
// whether int() makes it fit.
func noOverload(checked *ast.AST, e ast.Expr, s *celScope) (path string, mendable, fails bool) {
	if e.Kind() != ast.CallKind {
		return "", false, false
	}
	function, args := celFunctions()[e.AsCall().FunctionName()], argsOf(e)
	taken := make([]string, len(args))
	for i, arg := range args {
		if at, is := fromEvent(arg, s); is {
			taken[i] = at
			path = cmp.Or(path, at)
		}
	}
	if path == "" || function == nil {
		return "", false, false
	}
	for _, overload := range function.OverloadDecls() {
		params := overload.ArgTypes()
		if overload.IsMemberFunction() != e.AsCall().IsMemberFunction() || len(params) != len(args) {
			continue
		}
		integer, fit := fits(checked, args, params, taken)
		switch {
		case fit && integer == "":
			return "", false, false
		case fit && !mendable:
			path, mendable = integer, true
		}
	}
	return path, mendable, true
}

// fits reports whether a form of a function takes some arguments: those taken from the event if
// it takes what JSON holds, or an integer, and all others by the kinds of their types. It returns
// the first of the event that would have to be an integer.
func fits(checked *ast.AST, args []ast.Expr, params []*types.Type, taken []string) (integer string, fit bool) {
	for i, param := range params {
		have := checked.GetType(args[i].ID()).Kind()
		switch {
		case taken[i] != "" && param.Kind() == types.IntKind:
			integer = cmp.Or(integer, taken[i])
		case taken[i] != "" && !slices.Contains(jsonKinds, param.Kind()):
			return "", false
		case taken[i] != "", slices.Contains(openKinds, have), slices.Contains(openKinds, param.Kind()):
		case have != param.Kind():
			return "", false
		}
	}
	return integer, true
}

// openKinds are those of types that may stand for any other.
var openKinds = []cel.Kind{types.DynKind, types.AnyKind, types.ErrorKind, types.TypeParamKind}

// absentHeaders are headers that Go's server takes out of a request before anybody sees them
// (net/http, readRequest and readTransfer).
var absentHeaders = []string{"Host", "Trailer", "Transfer-Encoding"}

// absentHeader says why no event has a header of a name that is looked up as it is written, ""
// where one may.
func absentHeader(name string) string {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case slices.Contains(absentHeaders, canonical):
		return "Go's server takes this one out of every request, so name another"
	case name != canonical:
		return "the header is called " + canonical + " there"
	}
	return ""
}

// headerLookedUp returns the name by which an expression looks a header up, and whether any case
// will do.
func headerLookedUp(e ast.Expr, s *celScope) (name string, anyCase, is bool) {
	isHeader := func(of ast.Expr) bool {
		return of.Kind() == ast.IdentKind && of.AsIdent() == "header" && s.find("header") == nil
	}
	if e.Kind() == ast.SelectKind && isHeader(e.AsSelect().Operand()) {
		return e.AsSelect().FieldName(), false, true
	}
	if !isCall(e, operators.Index, operators.In, "canonical", "match") || len(argsOf(e)) < 2 {
		return "", false, false
	}
	of, key := argsOf(e)[0], argsOf(e)[1]
	if isCall(e, operators.In) {
		of, key = key, of
	}
	name, text := constantText(key)
	return name, e.AsCall().IsMemberFunction(), text && isHeader(of)
}

// celProblem says why a part of an expression fails, or finds nothing, for every event; "" where
// one may come for which it works. The text ends with the remedy.
func celProblem(checked *ast.AST, e ast.Expr, s *celScope) string {
	if name, anyCase, is := headerLookedUp(e, s); is {
		reason := absentHeader(name)
		if anyCase && name != "" {
			reason = absentHeader(textproto.CanonicalMIMEHeaderKey(name))
		}
		switch {
		case reason == "":
			return ""
		case slices.Contains(absentHeaders, textproto.CanonicalMIMEHeaderKey(name)):
			return fmt.Sprintf("looks up the header %s, which no event has: %s", strconv.Quote(name), reason)
		}
		return fmt.Sprintf("looks up the header %s, and %s: write header.canonical(%s), for which any case will do",
			strconv.Quote(name), reason, strconv.Quote(name))
	}
	path, mendable, fails := noOverload(checked, e, s)
	name := nameOfFunction(e)
	switch {
	case !fails:
		return ""
	case mendable:
		remedy := fmt.Sprintf("write int(%s)", path)
		if strings.Contains(path, "[]") || strings.Contains(path, "()") {
			remedy = "put int() around it"
		}
		return fmt.Sprintf("applies %s to %s, where it takes integers alone, and numbers of an event are doubles, "+
			"so it fails (no such overload) whenever it is evaluated: %s", name, path, remedy)
	}
	return fmt.Sprintf("applies %s to %s, where it takes nothing that JSON can hold, "+
		"so it fails (no such overload) whenever it is evaluated: convert %[2]s first", name, path)
}

// nameOfFunction is what an expression calls, operators as they are written.
func nameOfFunction(e ast.Expr) string {
	name := e.AsCall().FunctionName()
	if sign, is := operators.FindReverse(name); is && sign != "" {
		return sign
	}
	return strings.TrimPrefix(name, "@") + "()"
}
