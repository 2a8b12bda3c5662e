package template

import (
	"errors"
	"fmt"
	"reflect"
	"text/template/parse"
)

// pipeline returns the value of a pipeline, whose commands take the value before as their last
// argument.
func (s *state) pipeline(dot reflect.Value, n *parse.PipeNode) (reflect.Value, error) {
	var value reflect.Value
	for i, cmd := range n.Cmds {
		var last []reflect.Value
		if i > 0 {
			last = []reflect.Value{value}
		}
		var err error
		if value, err = s.command(dot, cmd, last); err != nil {
			return reflect.Value{}, err
		}
	}
	return value, nil
}

func (s *state) command(dot reflect.Value, n *parse.CommandNode, last []reflect.Value) (reflect.Value, error) {
	name, ok := n.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(n.Args)+len(last) > 1 {
			return reflect.Value{}, fmt.Errorf("%s: only functions take arguments", n)
		}
		return s.value(dot, n.Args[0])
	}
	var args []reflect.Value
	for _, arg := range n.Args[1:] {
		value, err := s.value(dot, arg)
		if err != nil {
			return reflect.Value{}, err
		}
		args = append(args, value)
	}
	value, err := call(s.funcs[name.Ident], append(args, last...))
	if err != nil {
		return reflect.Value{}, fmt.Errorf("%s: %w", n, err)
	}
	return value, nil
}

func (s *state) value(dot reflect.Value, node parse.Node) (reflect.Value, error) {
	switch n := node.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return fields(dot, n.Ident)
	case *parse.ChainNode:
		value, err := s.value(dot, n.Node)
		if err != nil {
			return value, err
		}
		return fields(value, n.Field)
	case *parse.VariableNode:
		for i := len(s.vars) - 1; i >= 0; i-- {
			if s.vars[i].name == n.Ident[0] {
				return fields(s.vars[i].value, n.Ident[1:])
			}
		}
	case *parse.IdentifierNode:
		return call(s.funcs[n.Ident], nil)
	case *parse.PipeNode:
		return s.pipeline(dot, n)
	case *parse.StringNode:
		return reflect.ValueOf(n.Text), nil
	case *parse.BoolNode:
		return reflect.ValueOf(n.True), nil
	case *parse.NumberNode:
		if n.IsInt {
			return reflect.ValueOf(int(n.Int64)), nil
		}
	}
	return reflect.Value{}, fmt.Errorf("%s: not supported", node)
}

// fields follows names of fields and of entries of maps. An entry that is not there has the value
// of its type that is empty.
func fields(value reflect.Value, names []string) (reflect.Value, error) {
	for _, name := range names {
		value = behind(value)
		var next reflect.Value
		switch {
		case !value.IsValid():
			return value, fmt.Errorf("there is nothing that could have a %s", name)
		case value.Kind() == reflect.Struct:
			next = value.FieldByName(name)
		case value.Kind() == reflect.Map && value.Type().Key().Kind() == reflect.String:
			if next = value.MapIndex(reflect.ValueOf(name).Convert(value.Type().Key())); !next.IsValid() {
				next = reflect.Zero(value.Type().Elem())
			}
		}
		if !next.IsValid() || !next.CanInterface() {
			return next, fmt.Errorf("%s has no %s", value.Type(), name)
		}
		value = next
	}
	return value, nil
}

// behind returns what pointers and interfaces lead to; the value is not valid if that is nil.
func behind(value reflect.Value) reflect.Value {
	for value.IsValid() && (value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface) {
		value = value.Elem()
	}
	return value
}

// truth tells whether a value is none of: nothing, false, 0, "", an empty list or map. A struct
// is true, as is what a pointer to it leads to.
func truth(value reflect.Value) bool {
	if value.IsValid() && value.Kind() == reflect.Pointer {
		return !value.IsNil()
	}
	switch value = behind(value); {
	case !value.IsValid():
		return false
	case value.Kind() == reflect.Struct:
		return true
	case value.Kind() == reflect.Slice || value.Kind() == reflect.Map:
		return value.Len() > 0
	}
	return !value.IsZero()
}

// call calls a function with values of the types that it takes.
func call(f any, args []reflect.Value) (result reflect.Value, err error) {
	fn := reflect.ValueOf(f)
	takes := fn.Type()
	least := takes.NumIn()
	if takes.IsVariadic() {
		least--
	}
	if len(args) < least || len(args) > least && !takes.IsVariadic() {
		return result, fmt.Errorf("%d arguments instead of %d", len(args), least)
	}
	for i, arg := range args {
		want := takes.In(min(i, takes.NumIn()-1))
		if takes.IsVariadic() && i >= least {
			want = want.Elem()
		}
		if args[i], err = fit(arg, want); err != nil {
			return result, err
		}
	}
	out := fn.Call(args)
	if len(out) == 2 && !out[1].IsNil() {
		err, _ = reflect.TypeAssert[error](out[1])
	}
	return out[0], err
}

// fit returns a value as a function takes it.
func fit(value reflect.Value, want reflect.Type) (reflect.Value, error) {
	switch {
	case !value.IsValid():
		return reflect.Zero(want), nil
	case value.Type().AssignableTo(want):
		return value, nil
	}
	if value = behind(value); value.IsValid() && value.Type().AssignableTo(want) {
		return value, nil
	}
	return value, fmt.Errorf("a value is not of type %s", want)
}

// firstThat returns the first value whose truth is want, or the last.
func firstThat(want bool, values []any) any {
	for _, v := range values[:len(values)-1] {
		if truth(reflect.ValueOf(v)) == want {
			return v
		}
	}
	return values[len(values)-1]
}

// index returns an entry of a map; the empty value of its type if there is none.
func index(of, key any) (any, error) {
	m, k := behind(reflect.ValueOf(of)), reflect.ValueOf(key)
	if !m.IsValid() || m.Kind() != reflect.Map {
		return nil, errors.New("index takes a map")
	}
	if !k.IsValid() || !k.CanConvert(m.Type().Key()) {
		return nil, fmt.Errorf("a key is of type %s", m.Type().Key())
	}
	if entry := m.MapIndex(k.Convert(m.Type().Key())); entry.IsValid() {
		return entry.Interface(), nil
	}
	return reflect.Zero(m.Type().Elem()).Interface(), nil
}
