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

// listKinds are those of one that takes a list.
var listKinds = []cel.Kind{types.ListKind, types.DynKind, types.AnyKind, types.TypeParamKind}

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
	args := argsOf(e)
	taken := make([]takenValue, len(args))
	for i, arg := range args {
		if at, is := fromEvent(arg, s); is {
			taken[i] = takenValue{path: at, kinds: jsonKinds, integer: true}
			if _, whole := wholeHeader(arg, s); whole {
				taken[i] = takenValue{path: at, kinds: listKinds}
			}
			path = cmp.Or(path, at)
		}
	}
	integer, fails := misfits(checked, e, taken)
	return cmp.Or(integer, path), integer != "", fails
}

// takenValue is a value of the event that a call takes.
type takenValue struct {
	path    string     // "" for any other value
	kinds   []cel.Kind // of the parameters that take it
	integer bool       // whether int() may make it fit
}

// misfits reports whether no form of the function that is called takes its arguments. It returns the first value
// of the event that int() makes fit.
func misfits(checked *ast.AST, e ast.Expr, taken []takenValue) (integer string, fails bool) {
	function, args := celFunctions()[e.AsCall().FunctionName()], argsOf(e)
	fromEvent := slices.ContainsFunc(taken, func(v takenValue) bool { return v.path != "" })
	if !fromEvent || function == nil {
		return "", false
	}
	for _, overload := range function.OverloadDecls() {
		params := overload.ArgTypes()
		if overload.IsMemberFunction() != e.AsCall().IsMemberFunction() || len(params) != len(args) {
			continue
		}
		path, fit := fits(checked, args, params, taken)
		if fit && path == "" {
			return "", false
		}
		if fit {
			integer = cmp.Or(integer, path)
		}
	}
	return integer, true
}

// fits reports whether a form of a function takes some arguments: those taken from the event if
// it takes what JSON holds, or an integer, and all others by the kinds of their types. It returns
// the first of the event that would have to be an integer.
func fits(checked *ast.AST, args []ast.Expr, params []*types.Type, taken []takenValue) (integer string, fit bool) {
	for i, param := range params {
		have := checked.GetType(args[i].ID()).Kind()
		switch {
		case taken[i].path != "" && taken[i].integer && param.Kind() == types.IntKind:
			integer = cmp.Or(integer, taken[i].path)
		case taken[i].path != "" && !slices.Contains(taken[i].kinds, param.Kind()):
			return "", false
		case taken[i].path != "", slices.Contains(openKinds, have), slices.Contains(openKinds, param.Kind()):
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

// celFault is a part of an expression that fails, or finds nothing, for every event.
type celFault struct {
	text    string // why, ending with the remedy; "" for a part without a fault
	path    string // what it takes from the event, "" for a header that is looked up
	outcome outcome
}

// celProblem returns the fault of a part of an expression.
func celProblem(checked *ast.AST, e ast.Expr, s *celScope) celFault {
	if fault := lookUpFault(e, s); fault.text != "" {
		return fault
	}
	if fault := headerListFault(checked, e, s); fault.text != "" {
		return fault
	}
	path, mendable, fails := noOverload(checked, e, s)
	name := ""
	if fails {
		name = nameOfFunction(e)
	}
	header, isList := wholeHeaderAmong(e, s)
	fault := celFault{path: path, outcome: isError}
	switch {
	case !fails:
		return celFault{}
	case isList:
		fault.text = fmt.Sprintf("applies %s to %s, and CEL has every header as a list of texts, "+
			"so it fails (no such overload) whenever it is evaluated: write header.canonical(%s)", name, path, strconv.Quote(header))
	case mendable:
		remedy := fmt.Sprintf("write int(%s)", path)
		if strings.Contains(path, "[]") || strings.Contains(path, "()") {
			remedy = "put int() around it"
		}
		fault.text = fmt.Sprintf("applies %s to %s, where it takes integers alone, and numbers of an event are doubles, "+
			"so it fails (no such overload) whenever it is evaluated: %s", name, path, remedy)
	default:
		fault.text = fmt.Sprintf("applies %s to %s, where it takes nothing that JSON can hold, "+
			"so it fails (no such overload) whenever it is evaluated: convert %[2]s first", name, path)
	}
	return fault
}

// lookUpFault finds headers that are looked up by a name that none has.
func lookUpFault(e ast.Expr, s *celScope) celFault {
	name, anyCase, is := headerLookedUp(e, s)
	if !is {
		return celFault{}
	}
	reason := absentHeader(name)
	if anyCase && name != "" {
		reason = absentHeader(textproto.CanonicalMIMEHeaderKey(name))
	}
	if reason == "" {
		return celFault{}
	}
	fault := celFault{outcome: ofAbsentHeader(e)}
	if slices.Contains(absentHeaders, textproto.CanonicalMIMEHeaderKey(name)) {
		fault.text = fmt.Sprintf("looks up the header %s, which no event has: %s", strconv.Quote(name), reason)
	} else {
		fault.text = fmt.Sprintf("looks up the header %s, and %s: write header.canonical(%s), for which any case will do",
			strconv.Quote(name), reason, strconv.Quote(name))
	}
	return fault
}

// ofAbsentHeader returns what comes of looking up a header that no event has.
func ofAbsentHeader(e ast.Expr) outcome {
	switch {
	case isCall(e, "canonical"):
		return isEmpty
	case isCall(e, "match") && !isLongText(argsOf(e)[2]): // the empty text matches
		return isBool
	case isCall(e, "match", operators.In), e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly():
		return isFalse
	}
	return isError
}

// wholeHeader returns the name of the header whose values an expression takes all of, where there may be such
// a header.
func wholeHeader(e ast.Expr, s *celScope) (name string, is bool) {
	name, _, is = headerLookedUp(e, s)
	whole := e.Kind() == ast.SelectKind && !e.AsSelect().IsTestOnly() || isCall(e, operators.Index)
	return name, is && whole && absentHeader(name) == ""
}

// wholeHeaderAmong returns the first such name among what a call takes.
func wholeHeaderAmong(e ast.Expr, s *celScope) (name string, is bool) {
	if e.Kind() != ast.CallKind {
		return "", false
	}
	for _, arg := range argsOf(e) {
		if name, is := wholeHeader(arg, s); is {
			return name, true
		}
	}
	return "", false
}

// plainKinds are types of values that equal no list.
var plainKinds = []cel.Kind{types.StringKind, types.BoolKind, types.IntKind, types.UintKind, types.DoubleKind,
	types.BytesKind}

// headerListFault finds headers, lists of texts in CEL, that are compared with a text. No message has the
// text: it may be a token.
func headerListFault(checked *ast.AST, e ast.Expr, s *celScope) celFault {
	name, is := wholeHeaderAmong(e, s)
	if !is || !isCall(e, operators.Equals, operators.NotEquals, operators.In) {
		return celFault{}
	}
	args := argsOf(e)
	quoted := strconv.Quote(name)
	if isCall(e, operators.In) {
		of := checked.GetType(args[1].ID())
		if _, first := wholeHeader(args[0], s); !first || of.Kind() != types.ListKind ||
			!slices.Contains(plainKinds, of.Parameters()[0].Kind()) {
			return celFault{}
		}
		return celFault{outcome: isFalse | isError, text: fmt.Sprintf("looks for header[%s] in a list of texts, and CEL has every header "+
			"as a list itself, so it is never found: write header.canonical(%[1]s) in […]", quoted)}
	}
	if !slices.ContainsFunc(args, func(e ast.Expr) bool {
		return slices.Contains(plainKinds, checked.GetType(e.ID()).Kind())
	}) {
		return celFault{}
	}
	if isCall(e, operators.NotEquals) {
		return celFault{outcome: isTrue | isError, text: fmt.Sprintf("compares header[%s] with a text, and CEL has every header as a list "+
			"of texts, so they always differ: write !header.match(%[1]s, …)", quoted)}
	}
	return celFault{outcome: isFalse | isError, text: fmt.Sprintf("compares header[%s] with a text, and CEL has every header as a list "+
		"of texts, so they are never equal: write header.match(%[1]s, …)", quoted)}
}

// nameOfFunction is what an expression calls, operators as they are written.
func nameOfFunction(e ast.Expr) string {
	name := e.AsCall().FunctionName()
	if sign, is := operators.FindReverse(name); is && sign != "" {
		return sign
	}
	return strings.TrimPrefix(name, "@") + "()"
}
