package mutator_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/record"
)

// namespace is that of the request in every case.
const namespace = "ci"

// together is the folder of cases in which all rules are applied. In those of a
// rule's folder it alone is.
const together = "together"

// testCase is one folder of testdata/<rule>:
//
//	input.yaml    the object that comes in
//	want.yaml     the object that must come out, without the record of what was done
//	warnings.txt  the warnings, one per line; none without it
//	explain.txt   what the rule did and why it did nothing, one line per place
//	cluster.yaml  what there is besides; nothing without it
//	config.yaml   the sections mutator and mirror, over the default; without it
//	              those of the rule's folder
type testCase struct {
	name     string
	rule     string
	folder   string
	input    []byte
	want     []byte
	warnings string
	resolved bool
	mutator  *mutator.Mutator
}

// world is what cluster.yaml says.
type world struct {
	Namespace       mutator.Namespace          `json:"namespace"`
	ServiceAccounts map[string]mutator.Account `json:"serviceAccounts"`
	Tasks           map[string]map[string]any  `json:"tasks"`
	StepActions     map[string]map[string]any  `json:"stepActions"`
	// by their names
	ConfigMaps  map[string]mutator.ConfigMap `json:"configMaps"`
	Policies    bool                         `json:"policies"` // whether there is a VerificationPolicy
	Refuses     string                       `json:"refuses"`  // why what is fetched would be refused
	Settings    mutator.Tekton               `json:"tekton"`
	Entrypoints []entrypoint.Image           `json:"entrypoints"`
	Resolved    bool                         `json:"resolved"`
	Error       string                       `json:"error"` // of every look-up
}

func (w world) fails() error {
	if w.Error == "" {
		return nil
	}
	return errors.New(w.Error)
}

type cluster struct{ world }

func (c cluster) Namespace(_ context.Context, name string) (*mutator.Namespace, error) {
	if name != namespace {
		return nil, c.fails()
	}
	return &c.world.Namespace, c.fails()
}

func (c cluster) ServiceAccount(_ context.Context, space, name string) (*mutator.Account, error) {
	account, ok := c.ServiceAccounts[name]
	if space != namespace || !ok {
		return nil, c.fails()
	}
	return &account, c.fails()
}

func (c cluster) WorkloadIdentity(_ context.Context, _ string, keys []string) (string, error) {
	for name, account := range c.ServiceAccounts {
		if slices.ContainsFunc(keys, func(key string) bool { return account.Annotations[key] != "" }) {
			return name, c.fails()
		}
	}
	return "", c.fails()
}

func (c cluster) Task(_ context.Context, _, name string) (map[string]any, error) {
	return ofKind(c.Tasks[name], "tekton.dev/v1", "Task"), c.fails()
}

func (c cluster) StepAction(_ context.Context, _, name string) (map[string]any, error) {
	return ofKind(c.StepActions[name], "tekton.dev/v1beta1", "StepAction"), c.fails()
}

func (c cluster) Verifies(context.Context, string) (bool, error) { return c.Policies, c.fails() }

func (c cluster) ConfigMap(_ context.Context, space, name string) (*mutator.ConfigMap, error) {
	found, ok := c.ConfigMaps[name]
	if space != namespace || !ok {
		return nil, c.fails()
	}
	return &found, c.fails()
}

func ofKind(object map[string]any, version, kind string) map[string]any {
	if object != nil {
		object["apiVersion"], object["kind"] = version, kind
	}
	return object
}

func (c cluster) Tekton(context.Context) mutator.Tekton { return c.Settings }

func (c cluster) Entrypoints(context.Context) *entrypoint.Table {
	data, err := entrypoint.Data(c.world.Entrypoints)
	if err != nil {
		panic(err)
	}
	table, err := entrypoint.Parse(data)
	if err != nil {
		panic(err)
	}
	return table
}

func TestCases(t *testing.T) {
	for _, c := range loadCases(t) {
		t.Run(c.name, func(t *testing.T) {
			out := mutate(t, c, c.input)
			compare(t, &c, out)
			golden.Equal(t, c.folder+"/explain.txt", explanation(c, out))
			if changed := difference(t, out.Object, c.input) != ""; changed != (len(out.Patch) > 0) ||
				changed != (len(out.Did()) > 0) && !strings.HasSuffix(c.name, "/probe") {
				t.Errorf("changed is %v, with the patch %s and %v", changed, out.Patch, out.Did())
			}
			recorded(t, c, out)
			patched := apply(t, c.input, out)
			if diff := difference(t, out.Object, patched); diff != "" {
				t.Errorf("the patched object is not the object:\n%s", diff)
			}
			if again := mutate(t, c, patched); len(again.Patch)+len(again.Did()) != 0 {
				t.Errorf("a second pass changes %s", again.Patch)
			}
			tektonAgrees(t, c.input, patched)
		})
	}
}

// compare holds the outcome against want.yaml and warnings.txt. With -update it
// writes them, but does not touch a want.yaml that says the same in other words.
func compare(t *testing.T, c *testCase, out mutator.Outcome) {
	t.Helper()
	got := unrecorded(t, out.Object)
	if golden.Updating() && (c.want == nil || difference(t, got, c.want) != "") {
		text, err := yaml.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		golden.Write(t, c.folder+"/want.yaml", text)
		c.want = golden.JSON(t, text)
	}
	if golden.Updating() {
		c.warnings = lines(out.Warnings)
		golden.Write(t, c.folder+"/warnings.txt", []byte(c.warnings))
	}
	if c.want == nil {
		t.Fatalf("there is no want.yaml: write it, or run this test with -update and read what it wrote")
	}
	if diff := difference(t, got, c.want); diff != "" {
		t.Errorf("the outcome is not want.yaml:\n%s", diff)
	}
	if got := lines(out.Warnings); got != c.warnings {
		t.Errorf("warnings are\n%s\nwant\n%s", got, c.warnings)
	}
}

// explanation renders the decisions of the case's rule, or of all.
func explanation(c testCase, out mutator.Outcome) []byte {
	var text strings.Builder
	for _, d := range out.Decisions {
		if c.rule != together && d.Rule != c.rule {
			continue
		}
		said := "did: " + d.Did
		if d.Did == "" {
			said = "not: " + d.Why
		}
		if c.rule == together {
			said = d.Rule + " " + said
		}
		if d.Where != "" {
			said = d.Where + ": " + said
		}
		fmt.Fprintln(&text, said)
	}
	return []byte(text.String())
}

// recorded checks the annotation that says what was done.
func recorded(t *testing.T, c testCase, out mutator.Outcome) {
	t.Helper()
	text := annotation(out.Object, wellknown.MutatedKey)
	before, _ := decodeNumbers(t, c.input).(map[string]any)
	switch kind, _ := before["kind"].(string); {
	case text == annotation(before, wellknown.MutatedKey):
		if changed := len(out.Patch) > 0; changed && kind != "Task" && kind != "Pipeline" && kind != "StepAction" {
			t.Errorf("nothing records the change")
		}
		return
	}
	var mutated record.Mutated
	if err := json.Unmarshal([]byte(text), &mutated); err != nil {
		t.Fatalf("the record %q: %v", text, err)
	}
	if annotation(before, wellknown.MutatorKey) == "" && mutated.Config != c.mutator.Hash() &&
		!strings.Contains(c.name, "namespace-") {
		t.Errorf("the record %s names another configuration than %s", text, c.mutator.Hash())
	}
	for id := range out.Did() {
		if !slices.Contains(mutated.Rules, id) {
			t.Errorf("the record %s lacks the rule %s", text, id)
		}
	}
}

func annotation(object map[string]any, key string) string {
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations[key].(string)
	return text
}

// unrecorded returns a copy of the object without the record, so that cases need
// not know the configuration's hash.
func unrecorded(t testing.TB, object map[string]any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out := decodeNumbers(t, raw).(map[string]any)
	metadata, _ := out["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if _, ok := annotations[wellknown.MutatedKey]; !ok {
		return out
	}
	delete(annotations, wellknown.MutatedKey)
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	}
	if len(metadata) == 0 {
		delete(out, "metadata")
	}
	return out
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
		if rule.Doc == "" || len(rule.Kinds) == 0 {
			t.Errorf("rule %s lacks a doc or kinds", rule.ID)
		}
		delete(count, rule.ID)
	}
	delete(count, together)
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

// file is what config.yaml holds.
type file struct {
	Mutator mutator.Config `json:"mutator"`
	Mirror  image.Mirror   `json:"mirror"`
}

func loadCase(t testing.TB, folder string) testCase {
	t.Helper()
	c := testCase{name: strings.TrimPrefix(folder, "testdata/"), folder: folder}
	c.rule = filepath.Dir(c.name)
	c.input = golden.JSON(t, golden.Read(t, folder+"/input.yaml"))
	if want := golden.ReadOptional(t, folder+"/want.yaml"); want != nil {
		c.want = golden.JSON(t, want)
	}
	c.warnings = string(golden.ReadOptional(t, folder+"/warnings.txt"))
	config := file{Mutator: mutator.Default()}
	text := golden.ReadOptional(t, folder+"/config.yaml")
	if text == nil {
		text = golden.ReadOptional(t, filepath.Dir(folder)+"/config.yaml")
	}
	var there world
	err := errors.Join(
		strict.UnmarshalYAML([]byte(cmp.Or(string(text), "{}")), &config),
		strict.UnmarshalYAML([]byte(cmp.Or(string(golden.ReadOptional(t, folder+"/cluster.yaml")), "{}")), &there),
	)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	if c.rule != together && c.rule != "local-tasks" { // which does something for the others
		alone(&config.Mutator, c.rule)
	}
	c.resolved = there.Resolved
	c.mutator = newMutator(t, folder, config, cluster{there})
	c.mutator.Refusal = func(context.Context, schema.GroupVersionKind, string, map[string]any) string {
		return there.Refuses
	}
	return c
}

func newMutator(t testing.TB, name string, config file, there mutator.Cluster) *mutator.Mutator {
	t.Helper()
	var rules *image.Rules
	if !config.Mirror.Empty() {
		var err error
		if rules, err = config.Mirror.Compile(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	m, err := mutator.New(config.Mutator, rules, there)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// alone switches off every rule but one.
func alone(config *mutator.Config, rule string) {
	for id, scope := range map[string]*mutator.Scope{
		"service-account":    &config.ServiceAccount.Scope,
		"docker-config":      &config.DockerConfig.Scope,
		"kaniko":             &config.Kaniko.Scope,
		"env":                &config.Env.Scope,
		"ca-bundle":          &config.CABundle.Scope,
		"resources":          &config.Resources.Scope,
		"image-pull-secrets": &config.ImagePullSecrets.Scope,
		"pod-template":       &config.PodTemplate.Scope,
		"local-tasks":        &config.LocalTasks.Scope,
		"image-mirror":       &config.ImageMirror.Scope,
	} {
		scope.Disabled = scope.Disabled || id != rule
	}
}

func mutate(t testing.TB, c testCase, raw []byte) mutator.Outcome {
	t.Helper()
	out, err := c.mutator.Mutate(t.Context(), mutator.Request{
		Kind: kindOf(t, raw), Namespace: namespace, Raw: raw, Resolved: c.resolved, Explain: true,
	})
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
	patch, err := jsonpatch.DecodePatch(out.Patch)
	if err != nil {
		t.Fatalf("the patch %s is not one: %v", out.Patch, err)
	}
	patched, err := patch.Apply(raw)
	if err != nil {
		t.Fatalf("the patch %s does not apply: %v", out.Patch, err)
	}
	return patched
}

// difference compares an object with JSON, numbers by their digits.
func difference(t testing.TB, object map[string]any, want []byte) string {
	t.Helper()
	if reflect.DeepEqual(any(object), decodeNumbers(t, want)) {
		return ""
	}
	got, err := json.Marshal(object)
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

func lines(warnings []string) string {
	var text strings.Builder
	for _, warning := range warnings {
		text.WriteString(warning + "\n")
	}
	return text.String()
}
