// Package template fills in texts whose actions are those of text/template.
//
// It is not text/template, because that calls methods by names that are known only when a program
// runs. A program that links it keeps each exported method of each of its types, and Tekgate's
// programs were a third larger for it. So this package reads a text with text/template's own
// parser and evaluates it without methods: the value of .Name is a field or a map's entry.
// Whatever a text does that is not supported is an error when it is read, not when it is filled in.
//
// hack/verify fails when a program links something that calls methods by such names.
package template

import (
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"text/template/parse"
)

// Template is a text that is ready to be filled in.
type Template struct {
	trees  map[string]*parse.Tree
	funcs  map[string]any
	escape func(string) string
}

// Funcs are functions by the names that actions call them by. A function returns one value, or
// one and an error.
type Funcs map[string]any

// builtin are text/template's own functions as far as Tekgate's texts need them. Unlike there,
// and and or evaluate all their arguments.
var builtin = Funcs{
	"and":   func(a ...any) any { return firstThat(false, a) },
	"or":    func(a ...any) any { return firstThat(true, a) },
	"not":   func(v any) bool { return !truth(reflect.ValueOf(v)) },
	"eq":    func(a, b any) bool { return a == b },
	"ne":    func(a, b any) bool { return a != b },
	"print": fmt.Sprint,
	"index": index,
}

// Read reads the files that match patterns. Each has the name of its file without folders, and
// may define others. escape is applied to what actions print; nil stands for none.
func Read(files fs.FS, funcs Funcs, escape func(string) string, patterns ...string) (*Template, error) {
	t := &Template{trees: map[string]*parse.Tree{}, funcs: Funcs{}, escape: escape}
	for _, all := range []Funcs{builtin, funcs} {
		for name, f := range all {
			t.funcs[name] = f
		}
	}
	for _, pattern := range patterns {
		names, err := fs.Glob(files, pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				return nil, err
			}
			if err := t.add(name, string(text)); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// Must returns t, and panics if there is an error: for texts that are embedded.
func Must(t *Template, err error) *Template {
	if err != nil {
		panic(err)
	}
	return t
}

func (t *Template) add(name, text string) error {
	trees, err := parse.Parse(name, text, "", "", t.funcs)
	if err != nil {
		return err
	}
	for name, tree := range trees {
		if err := supported(tree.Root); err != nil {
			return fmt.Errorf("template %s: %w", name, err)
		}
		t.trees[name] = tree
	}
	return nil
}

// supported returns an error that names a node which filling in knows nothing of.
func supported(node parse.Node) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil { // a branch without else
			return nil
		}
		for _, child := range n.Nodes {
			if err := supported(child); err != nil {
				return err
			}
		}
	case *parse.IfNode:
		return either(n.BranchNode)
	case *parse.WithNode:
		return either(n.BranchNode)
	case *parse.RangeNode:
		if len(n.Pipe.Decl) > 1 || n.Pipe.IsAssign {
			return fmt.Errorf("%s: a range declares one variable at most", n)
		}
		return either(n.BranchNode)
	case *parse.ActionNode:
		if n.Pipe.IsAssign {
			return fmt.Errorf("%s: variables are not assigned to", n)
		}
	case *parse.TextNode, *parse.TemplateNode, *parse.CommentNode:
	default:
		return fmt.Errorf("%s: not supported", node)
	}
	return nil
}

func either(n parse.BranchNode) error {
	if err := supported(n.List); err != nil {
		return err
	}
	return supported(n.ElseList)
}

// Execute fills in the text of that name with data and writes it to out, whole or not at all
// but for errors of out.
func (t *Template) Execute(out io.Writer, name string, data any) error {
	var text strings.Builder
	if err := t.fill(&text, name, reflect.ValueOf(data)); err != nil {
		return fmt.Errorf("template %s: %w", name, err)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (t *Template) fill(out *strings.Builder, name string, data reflect.Value) error {
	tree := t.trees[name]
	if tree == nil {
		return fmt.Errorf("there is no template %q", name)
	}
	s := state{Template: t, out: out, vars: []variable{{"$", data}}}
	return s.walk(data, tree.Root)
}

// state is what is known at one place of a text.
type state struct {
	*Template
	out  *strings.Builder
	vars []variable // the innermost last
}

type variable struct {
	name  string
	value reflect.Value
}

func (s *state) walk(dot reflect.Value, node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode:
		s.out.Write(n.Text)
	case *parse.ListNode:
		for _, child := range n.Nodes {
			if err := s.walk(dot, child); err != nil {
				return err
			}
		}
	case *parse.ActionNode:
		return s.action(dot, n)
	case *parse.IfNode:
		return s.branch(dot, n.BranchNode, false)
	case *parse.WithNode:
		return s.branch(dot, n.BranchNode, true)
	case *parse.RangeNode:
		return s.each(dot, n)
	case *parse.TemplateNode:
		data := reflect.Value{}
		if n.Pipe != nil {
			var err error
			if data, err = s.pipeline(dot, n.Pipe); err != nil {
				return err
			}
		}
		return s.fill(s.out, n.Name, data)
	}
	return nil
}

// action prints a value, or declares a variable that lasts to the end of the block.
func (s *state) action(dot reflect.Value, n *parse.ActionNode) error {
	value, err := s.pipeline(dot, n.Pipe)
	if err != nil {
		return err
	}
	if len(n.Pipe.Decl) > 0 {
		s.declare(n.Pipe, value)
		return nil
	}
	value = behind(value)
	if !value.IsValid() {
		return fmt.Errorf("%s: there is no value", n)
	}
	text := fmt.Sprint(value.Interface())
	if s.escape != nil {
		text = s.escape(text)
	}
	s.out.WriteString(text)
	return nil
}

func (s *state) branch(dot reflect.Value, n parse.BranchNode, moves bool) error {
	defer s.forget(len(s.vars))
	value, err := s.pipeline(dot, n.Pipe)
	if err != nil {
		return err
	}
	s.declare(n.Pipe, value)
	switch {
	case !truth(value) && n.ElseList == nil:
		return nil
	case !truth(value):
		return s.walk(dot, n.ElseList)
	case moves:
		dot = value
	}
	return s.walk(dot, n.List)
}

// each walks a list once for each element of a slice.
func (s *state) each(dot reflect.Value, n *parse.RangeNode) error {
	defer s.forget(len(s.vars))
	value, err := s.pipeline(dot, n.Pipe)
	if err != nil {
		return err
	}
	value = behind(value)
	if value.IsValid() && value.Kind() != reflect.Slice {
		return fmt.Errorf("%s: %s is not a list", n.Pipe, value.Type())
	}
	if !truth(value) {
		if n.ElseList == nil {
			return nil
		}
		return s.walk(dot, n.ElseList)
	}
	before := len(s.vars)
	for i := range value.Len() {
		s.forget(before)
		s.declare(n.Pipe, value.Index(i))
		if err := s.walk(value.Index(i), n.List); err != nil {
			return err
		}
	}
	return nil
}

// declare gives the variable of a pipeline, if it declares one, a value.
func (s *state) declare(n *parse.PipeNode, value reflect.Value) {
	for _, v := range n.Decl {
		s.vars = append(s.vars, variable{v.Ident[0], value})
	}
}

// forget drops the variables of a block that ends.
func (s *state) forget(n int) { s.vars = s.vars[:n] }
