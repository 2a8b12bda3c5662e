package custom

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	celast "github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/rule"
)

// setType is the type of the variable set.
var setType = cel.ObjectType("tekgate.Set", traits.ReceiverType)

// The overloads of the functions of set, and what one call costs: a request to the API server at
// admission. A rule may make 20 at most.
var lookUps = map[string]uint64{"set_has": CostLimit / 20, "set_get": CostLimit / 20, "set_names": CostLimit / 20}

// lookUpCost counts the calls when an expression is evaluated.
type lookUpCost struct{}

// CallCost implements interpreter.ActualCostEstimator.
func (lookUpCost) CallCost(_, overload string, _ []ref.Val, _ ref.Val) *uint64 {
	if cost, is := lookUps[overload]; is {
		return &cost
	}
	return nil
}

// setOptions declare set: has and get look up one object, names lists those of a kind. All are
// about the namespace of the object that is judged.
func setOptions() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Variable("set", setType),
		cel.Function("has", cel.MemberOverload("set_has", []*cel.Type{setType, cel.StringType, cel.StringType},
			cel.BoolType, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				return lookUp(args, func(s *set, kind, name string) ref.Val { return s.has(kind, name) })
			}))),
		cel.Function("get", cel.MemberOverload("set_get", []*cel.Type{setType, cel.StringType, cel.StringType},
			cel.DynType, cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				return lookUp(args, func(s *set, kind, name string) ref.Val { return s.get(kind, name) })
			}))),
		cel.Function("names", cel.MemberOverload("set_names", []*cel.Type{setType, cel.StringType},
			cel.ListType(cel.StringType), cel.BinaryBinding(func(of, kind ref.Val) ref.Val {
				return lookUp(
					[]ref.Val{of, kind, types.String("")},
					func(s *set, kind, _ string) ref.Val { return s.names(kind) },
				)
			}))),
	}
}

func lookUp(args []ref.Val, ask func(s *set, kind, name string) ref.Val) ref.Val {
	of, isSet := args[0].(*set)
	kind, isKind := args[1].(types.String)
	name, isName := args[2].(types.String)
	if !isSet || !isKind || !isName {
		return types.NewErr("a look-up needs the kind and the name as texts")
	}
	return ask(of, string(kind), string(name))
}

// readable are the kinds that the admission server may read, and whether in full: of a
// ServiceAccount it knows the name alone.
func readable() map[string]schema.GroupKind {
	kinds := map[string]schema.GroupKind{accountKind: {Kind: accountKind}}
	for _, kind := range rule.Everything {
		kinds[kind.Kind] = kind.GroupKind()
	}
	return kinds
}

const accountKind = "ServiceAccount"

// checkLookUps reports look-ups that the admission server could not do. It finds them here, since
// a rule that is silent at admission alone would be trusted.
func checkLookUps(ast *cel.Ast, id string) error {
	var found []error
	known := readable()
	for _, function := range []string{"has", "get", "names"} {
		for _, call := range calls(ast, function) {
			if target := call.Target(); target == nil || target.Kind() != celast.IdentKind ||
				target.AsIdent() != "set" {
				continue
			}
			found = append(found, checkLookUp(call, function, id, known))
		}
	}
	return errors.Join(found...)
}

func checkLookUp(call celast.CallExpr, function, id string, known map[string]schema.GroupKind) error {
	first := call.Args()[0]
	if first.Kind() != celast.LiteralKind {
		return fmt.Errorf(
			"expression: rule %s: the kind in set.%s must be a text, such as 'Task': what may be read is checked here",
			id,
			function,
		)
	}
	kind, _ := first.AsLiteral().Value().(string)
	switch _, is := known[kind]; {
	case kind == "Secret" || kind == "ConfigMap":
		return fmt.Errorf(
			"expression: rule %s: set.%s asks for a %s, which the admission server may not read: the rule would find nothing there; leave it out",
			id,
			function,
			kind,
		)
	case !is:
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf(
			"expression: rule %s: set.%s asks for the kind %q, which the admission server may not read: it reads %s",
			id,
			function,
			kind,
			strings.Join(names, ", "),
		)
	case kind == accountKind && function == "get":
		return fmt.Errorf(
			"expression: rule %s: of a ServiceAccount the admission server knows the name alone: ask set.has or set.names",
			id,
		)
	}
	return nil
}

// set is the value of the variable set while one object is judged.
type set struct {
	ctx  context.Context // of the judgement, as the value is
	pass *rule.Pass
	err  error // of the first look-up that failed
}

// scope returns the group of a kind, and the namespace to look in: "" for a kind of the cluster.
func (s *set) scope(kind string) (schema.GroupKind, string) {
	of := readable()[kind]
	if strings.HasPrefix(kind, "Cluster") {
		return of, ""
	}
	return of, s.pass.Namespace
}

func (s *set) has(kind, name string) ref.Val {
	of, namespace := s.scope(kind)
	found, err := s.pass.Cluster.Get(s.ctx, of, namespace, name)
	if err != nil {
		return s.fail(err)
	}
	return types.Bool(found != nil)
}

// get returns an empty object where there is none.
func (s *set) get(kind, name string) ref.Val {
	of, namespace := s.scope(kind)
	found, err := s.pass.Cluster.Get(s.ctx, of, namespace, name)
	switch {
	case err != nil:
		return s.fail(err)
	case found == nil:
		found = map[string]any{}
	}
	return adapter{}.NativeToValue(found)
}

func (s *set) names(kind string) ref.Val {
	of, namespace := s.scope(kind)
	names, err := s.pass.Cluster.Names(s.ctx, of, namespace)
	if err != nil {
		return s.fail(err)
	}
	return types.NewStringList(adapter{}, names)
}

func (s *set) fail(err error) ref.Val {
	if s.err == nil {
		s.err = err
	}
	return types.WrapErr(err)
}

// ConvertToNative implements ref.Val.
func (s *set) ConvertToNative(reflect.Type) (any, error) {
	return nil, errors.New("the set of objects is no value")
}

// ConvertToType implements ref.Val.
func (s *set) ConvertToType(ref.Type) ref.Val { return types.NewErr("the set of objects is no value") }

// Equal implements ref.Val.
func (s *set) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(s)) }

// Type implements ref.Val.
func (s *set) Type() ref.Type { return setType }

// Value implements ref.Val.
func (s *set) Value() any { return s }
