package lazyregexp_test

import (
	"bytes"
	"os/exec"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// TestNewInvalid holds that a test of a package with an invalid expression fails.
func TestNewInvalid(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an invalid expression is accepted in a test")
		}
	}()
	lazyregexp.New(`(`)
}

// TestNewInProgram holds that a program compiles an expression when it first uses it, also where
// several goroutines do.
func TestNewInProgram(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "run", "./testdata/program.go").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "80 matches\npanic: regexp: Compile(`(`)") {
		t.Errorf("the program ended with %v:\n%s", err, out)
	}
}

// TestMethods holds that each method returns what that of regexp.Regexp returns.
func TestMethods(t *testing.T) {
	const expression = `([a-z])\.(\d+)`
	values := map[reflect.Type]any{}
	for _, value := range []any{"- a.1, b.22 -", []byte("- a.1, b.22 -"), -1, strings.ToUpper, bytes.ToUpper} {
		values[reflect.TypeOf(value)] = value
	}
	ours, theirs := reflect.ValueOf(lazyregexp.New(expression)), reflect.ValueOf(regexp.MustCompile(expression))
	for i := range ours.NumMethod() {
		name := ours.Type().Method(i).Name
		method := ours.Method(i)
		var args []reflect.Value
		for arg := range method.Type().Ins() {
			args = append(args, reflect.ValueOf(values[arg]))
		}
		got, want := method.Call(args)[0].Interface(), theirs.MethodByName(name).Call(args)[0].Interface()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s returns %v, want %v", name, got, want)
		}
	}
}
