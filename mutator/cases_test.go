package mutator_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/mutator"
)

// namespace is that of the request in every case.
const namespace = "ci"

// testCase is one folder of testdata/<rule>:
//
//	input.yaml    the object that comes in
//	want.yaml     the object that must come out
//	warnings.txt  the warnings, one per line; none without it
//	exists.yaml   the ServiceAccounts of one namespace; none without it
//	config.yaml   the configuration, over the default; without it that of the
//	              rule's folder
type testCase struct {
	name     string
	input    []byte
	want     []byte
	warnings string
	mutator  mutator.Mutator
}

// accounts are what exists.yaml says.
type accounts struct {
	Namespace string   `json:"namespace"`
	Names     []string `json:"names"`
	Error     string   `json:"error"`
}

func (a accounts) Exists(_ context.Context, namespace, name string) (bool, error) {
	if a.Error != "" {
		return false, errors.New(a.Error)
	}
	return namespace == a.Namespace && slices.Contains(a.Names, name), nil
}

func TestCases(t *testing.T) {
	for _, c := range loadCases(t) {
		t.Run(c.name, func(t *testing.T) {
			out := mutate(t, c, c.input)
			if diff := difference(t, out, c.want); diff != "" {
				t.Errorf("the outcome is not want.yaml:\n%s", diff)
			}
			if got := lines(out); got != c.warnings {
				t.Errorf("warnings are\n%s\nwant\n%s", got, c.warnings)
			}
			if changed := difference(t, out, c.input) != ""; changed != (len(out.Patch) > 0) || changed != (len(out.Did) > 0) {
				t.Errorf("changed is %v, with the patch %v and %v", changed, out.Patch, out.Did)
			}
			patched := apply(t, c.input, out)
			if diff := difference(t, out, patched); diff != "" {
				t.Errorf("the patched object is not the object:\n%s", diff)
			}
			if again := mutate(t, c, patched); len(again.Patch)+len(again.Did) != 0 {
				t.Errorf("a second pass changes %v", again.Patch)
			}
			tektonAgrees(t, c.input, patched)
		})
	}
}

// TestEveryRuleHasCases also says which folders belong to no rule.
func TestEveryRuleHasCases(t *testing.T) {
	count := map[string]int{}
	for _, c := range loadCases(t) {
		count[filepath.Dir(c.name)]++
	}
	for _, rule := range mutator.Rules {
		if count[rule.ID] == 0 {
			t.Errorf("rule %s has no case", rule.ID)
		}
		if rule.Doc == "" || len(rule.Kinds) == 0 || rule.Apply == nil {
			t.Errorf("rule %s lacks a doc, kinds or its function", rule.ID)
		}
		delete(count, rule.ID)
	}
	for folder := range count {
		t.Errorf("testdata/%s belongs to no rule", folder)
	}
}

func loadCases(t testing.TB) []testCase {
	t.Helper()
	var cases []testCase
	for _, folder := range golden.Folders(t) {
		cases = append(cases, loadCase(t, folder))
	}
	return cases
}

func loadCase(t testing.TB, folder string) testCase {
	t.Helper()
	c := testCase{name: strings.TrimPrefix(folder, "testdata/")}
	c.input = golden.JSON(t, golden.Read(t, folder+"/input.yaml"))
	c.want = golden.JSON(t, golden.Read(t, folder+"/want.yaml"))
	c.warnings = string(golden.ReadOptional(t, folder+"/warnings.txt"))
	c.mutator.Config = mutator.Default()
	config := golden.ReadOptional(t, folder+"/config.yaml")
	if config == nil {
		config = golden.ReadOptional(t, filepath.Dir(folder)+"/config.yaml")
	}
	var exists accounts
	err := errors.Join(
		strict.UnmarshalYAML([]byte(cmp.Or(string(config), "{}")), &c.mutator.Config),
		strict.UnmarshalYAML([]byte(cmp.Or(string(golden.ReadOptional(t, folder+"/exists.yaml")), "{}")), &exists),
		c.mutator.Config.Validate(),
	)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	c.mutator.ServiceAccounts = exists
	return c
}

func mutate(t testing.TB, c testCase, raw []byte) mutator.Outcome {
	t.Helper()
	out, err := c.mutator.Mutate(t.Context(), kindOf(t, raw), namespace, raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func kindOf(t testing.TB, raw []byte) schema.GroupVersionKind {
	t.Helper()
	var meta struct{ APIVersion, Kind string }
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	return schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
}

// apply applies the patch with the library that the API server has.
func apply(t testing.TB, raw []byte, out mutator.Outcome) []byte {
	t.Helper()
	if len(out.Patch) == 0 {
		return raw
	}
	text, err := json.Marshal(out.Patch)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatalf("the patch %s is not one: %v", text, err)
	}
	patched, err := patch.Apply(raw)
	if err != nil {
		t.Fatalf("the patch %s does not apply: %v", text, err)
	}
	return patched
}

// difference compares the outcome with JSON, numbers by their digits.
func difference(t testing.TB, out mutator.Outcome, want []byte) string {
	t.Helper()
	if reflect.DeepEqual(any(out.Object), decodeNumbers(t, want)) {
		return ""
	}
	got, err := json.Marshal(out.Object)
	if err != nil {
		t.Fatal(err)
	}
	return "got  " + string(got) + "\nwant " + string(want)
}

func decodeNumbers(t testing.TB, raw []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var object any
	if err := decoder.Decode(&object); err != nil {
		t.Fatal(err)
	}
	return object
}

func lines(out mutator.Outcome) string {
	var text strings.Builder
	for _, warning := range out.Warnings {
		text.WriteString(warning + "\n")
	}
	return text.String()
}
