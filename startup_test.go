package tekgate_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestStartup holds that no package of the programs compiles a regular expression before main
// starts: internal/lazyregexp is for these.
func TestStartup(t *testing.T) {
	const perFile = `{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`
	command := exec.CommandContext(t.Context(), "go", "list", "-deps",
		"-f", "{{with .Module}}{{if .Main}}{{with $}}"+perFile+"{{end}}{{end}}{{end}}",
		"./cmd/tekgate", "./cmd/webhook", "./cmd/interceptor")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	files := strings.Fields(string(out))
	if len(files) < 100 {
		t.Fatalf("only %d files are checked", len(files))
	}
	for _, file := range files {
		for _, at := range compiledAtStart(t, file, nil) {
			t.Errorf("%s: compiles a regular expression when a program starts: use lazyregexp.New", at)
		}
	}
}

// TestCompiledAtStart holds that the check tells what runs at the start from what runs later.
func TestCompiledAtStart(t *testing.T) {
	const source = `package p
import "regexp"
var (
	alone  = regexp.MustCompile("a")
	listed = []struct{ name string; find *regexp.Regexp }{{"b", regexp.MustCompile("b")}}
	called = func() *regexp.Regexp { return regexp.MustCompile("c") }()
	later  = func() *regexp.Regexp { return regexp.MustCompile("d") }
	once   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("e") })
	other, _ = regexp.CompilePOSIX("f")
)
func init() { alone = regexp.MustCompile("g") }
func f() { alone = regexp.MustCompile("h") }
`
	var lines []int
	for _, at := range compiledAtStart(t, "p.go", source) {
		lines = append(lines, at.Line)
	}
	if want := []int{4, 5, 6, 9, 11}; !slices.Equal(lines, want) {
		t.Errorf("found in lines %d, want %d", lines, want)
	}
}

// compiledAtStart returns where a file compiles regular expressions in the values of package
// variables and in init. Its functions that these call are not looked into.
func compiledAtStart(t *testing.T, name string, source any) (found []token.Position) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var visit func(ast.Node) bool
	visit = func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.FuncLit:
			return false // it runs when it is called
		case *ast.CallExpr:
			if literal, is := n.Fun.(*ast.FuncLit); is {
				ast.Inspect(literal.Body, visit)
			}
			if compiles(n.Fun) {
				found = append(found, files.Position(n.Pos()))
			}
		}
		return true
	}
	for _, declared := range file.Decls {
		switch d := declared.(type) {
		case *ast.GenDecl:
			ast.Inspect(d, visit)
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				ast.Inspect(d.Body, visit)
			}
		}
	}
	return found
}

// compiles reports whether a function is one of those that compile a regular expression.
func compiles(function ast.Expr) bool {
	selector, is := function.(*ast.SelectorExpr)
	if !is {
		return false
	}
	of, is := selector.X.(*ast.Ident)
	return is && of.Name == "regexp" && (strings.HasPrefix(selector.Sel.Name, "MustCompile") ||
		strings.HasPrefix(selector.Sel.Name, "Compile"))
}
