package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
)

// TestDocs holds that every configuration in docs/ and the README is right, and
// that docs/mutation.md names every rule.
func TestDocs(t *testing.T) {
	files, err := filepath.Glob("../../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, "../../../README.md") {
		for _, block := range blocks(t, file) {
			if !strings.Contains(block, "kind: Configuration") {
				continue
			}
			found++
			c, err := config.Parse([]byte(block))
			if err != nil {
				t.Errorf("%s: %v in\n%s", file, err, block)
				continue
			}
			rules, err := c.Mirror.Compile()
			if err == nil {
				_, err = mutator.New(c.Mutator, rules, nil)
			}
			if err != nil {
				t.Errorf("%s: %v in\n%s", file, err, block)
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d configurations were found", found)
	}
	text, err := os.ReadFile("../../../docs/mutation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range mutator.Rules {
		if !strings.Contains(string(text), "| `"+rule.ID+"` |") {
			t.Errorf("docs/mutation.md does not name the rule %s", rule.ID)
		}
	}
}

// TestDocsDefaults holds that docs/configuration.md shows the defaults, and leaves
// out no field of a rule.
func TestDocsDefaults(t *testing.T) {
	for _, block := range blocks(t, "../../../docs/configuration.md") {
		if !strings.Contains(block, "treatAsUnset") {
			continue
		}
		c, err := config.Parse([]byte(block))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Servers()
		if err != nil {
			t.Fatal(err)
		}
		defaults, err := config.Default().Servers()
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.ReplaceAll(string(got), "    builders: {}\n", "") // says nothing
		if shown != string(defaults) {
			t.Errorf("it shows\n%s\nand the defaults are\n%s", shown, defaults)
		}
		fields := reflect.TypeOf(mutator.Config{})
		for i := range fields.NumField() {
			rule := fields.Field(i).Type
			for j := range rule.NumField() {
				name, _, _ := strings.Cut(rule.Field(j).Tag.Get("json"), ",")
				if name != "" && !strings.Contains(block, name) {
					t.Errorf("%s.%s is not in it", fields.Field(i).Name, name)
				}
			}
		}
		return
	}
	t.Error("the section mutator was not found")
}

// blocks returns the blocks of YAML in a Markdown file.
func blocks(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, part := range strings.Split(string(text), "```") {
		if body, yaml := strings.CutPrefix(part, "yaml\n"); yaml && i%2 == 1 {
			found = append(found, body)
		}
	}
	return found
}

// TestDocsPolicy holds that docs/policy.md names every list and limit of the
// validator's policies, and a rule for each.
func TestDocsPolicy(t *testing.T) {
	text, err := os.ReadFile("../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range leaves(reflect.TypeFor[validator.Policy]()) {
		if !strings.Contains(string(text), name+":") {
			t.Errorf("docs/policy.md does not name %s", name)
		}
	}
}

// TestDocsTekton holds that docs/configuration.md shows every field of the section tekton.
func TestDocsTekton(t *testing.T) {
	for _, block := range blocks(t, "../../../docs/configuration.md") {
		_, section, found := strings.Cut(block, "\ntekton:\n")
		if !found {
			continue
		}
		kinds := []reflect.Type{reflect.TypeFor[declared.Settings](), reflect.TypeFor[declared.Workload]()}
		for _, kind := range kinds {
			for i := range kind.NumField() {
				name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
				if name != "" && !strings.Contains("\n"+section, "\n  "+name+":") {
					t.Errorf("it does not show %s", name)
				}
			}
		}
		return
	}
	t.Error("the section tekton was not found")
}

// leaves are the JSON names of a struct's fields, of its structs' too.
func leaves(kind reflect.Type) []string {
	var names []string
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
		inner := field.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == kind.PkgPath() {
			names = append(names, leaves(inner)...)
		}
	}
	return names
}
