package policy_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
)

// testCase is a folder of mutator/testdata, see mutator's own test.
type testCase struct {
	name, rule, space string
	input             []byte
	config            file
	world             world
}

type file struct {
	Mutator mutator.Config `json:"mutator"`
	Mirror  image.Mirror   `json:"mirror"`
}

type world struct {
	Namespace       mutator.Namespace          `json:"namespace"`
	ServiceAccounts map[string]mutator.Account `json:"serviceAccounts"`
	Tasks           map[string]map[string]any  `json:"tasks"`
	StepActions     map[string]map[string]any  `json:"stepActions"`
	// by their names
	ConfigMaps  map[string]mutator.ConfigMap `json:"configMaps"`
	Policies    bool                         `json:"policies"`
	Refuses     string                       `json:"refuses"`
	Settings    mutator.Tekton               `json:"tekton"`
	Entrypoints []entrypoint.Image           `json:"entrypoints"`
	Resolved    bool                         `json:"resolved"`
	Error       string                       `json:"error"`
}

// answers is a world as the mutator asks it.
type answers struct{ world }

func (a answers) fails() error {
	if a.Error == "" {
		return nil
	}
	return errors.New(a.Error)
}

func (a answers) Namespace(context.Context, string) (*mutator.Namespace, error) {
	return &a.world.Namespace, a.fails()
}

func (a answers) ServiceAccount(_ context.Context, _, name string) (*mutator.Account, error) {
	account, ok := a.ServiceAccounts[name]
	if !ok {
		return nil, a.fails()
	}
	return &account, a.fails()
}

func (a answers) WorkloadIdentity(_ context.Context, _ string, keys []string) (string, error) {
	for name, account := range a.ServiceAccounts {
		if slices.ContainsFunc(keys, func(key string) bool { return account.Annotations[key] != "" }) {
			return name, a.fails()
		}
	}
	return "", a.fails()
}

func (a answers) Task(_ context.Context, _, name string) (map[string]any, error) {
	return ofKind(a.Tasks[name], "tekton.dev/v1", "Task"), a.fails()
}

func (a answers) StepAction(_ context.Context, _, name string) (map[string]any, error) {
	return ofKind(a.StepActions[name], "tekton.dev/v1beta1", "StepAction"), a.fails()
}

func (a answers) ConfigMap(_ context.Context, _, name string) (*mutator.ConfigMap, error) {
	found, ok := a.ConfigMaps[name]
	if !ok {
		return nil, a.fails()
	}
	return &found, a.fails()
}

func ofKind(object map[string]any, version, kind string) map[string]any {
	if object != nil {
		object["apiVersion"], object["kind"] = version, kind
	}
	return object
}

func (a answers) Verifies(context.Context, string) (bool, error) { return a.Policies, a.fails() }

func (a answers) Tekton(context.Context) mutator.Tekton { return a.Settings }

func (a answers) Entrypoints(context.Context) *entrypoint.Table {
	data, err := entrypoint.Data(a.world.Entrypoints)
	if err != nil {
		panic(err)
	}
	table, err := entrypoint.Parse(data)
	if err != nil {
		panic(err)
	}
	return table
}

const testdata = "../testdata/"

func load(t *testing.T, folder string) testCase {
	t.Helper()
	c := testCase{name: strings.TrimPrefix(folder, testdata), config: file{Mutator: mutator.Default()}}
	c.rule = filepath.Dir(c.name)
	c.input = golden.JSON(t, golden.Read(t, folder+"/input.yaml"))
	text := golden.ReadOptional(t, folder+"/config.yaml")
	if text == nil {
		text = golden.ReadOptional(t, filepath.Dir(folder)+"/config.yaml")
	}
	err := errors.Join(
		strict.UnmarshalYAML([]byte(cmp.Or(string(text), "{}")), &c.config),
		strict.UnmarshalYAML([]byte(cmp.Or(string(golden.ReadOptional(t, folder+"/cluster.yaml")), "{}")), &c.world),
	)
	if err != nil {
		t.Fatalf("%s: %v", folder, err)
	}
	if c.rule != "together" && c.rule != "local-tasks" { // which does something for the others
		alone(&c.config.Mutator, c.rule)
	}
	return c
}

func (c *testCase) parse(t *testing.T, config string) {
	t.Helper()
	if err := strict.UnmarshalYAML([]byte(config), &c.config); err != nil {
		t.Fatal(err)
	}
}

// alone switches off every rule but one.
func alone(config *mutator.Config, rule string) {
	for id, scope := range scopes(config) {
		scope.Disabled = scope.Disabled || id != rule
	}
}

func scopes(config *mutator.Config) map[string]*mutator.Scope {
	return map[string]*mutator.Scope{
		"service-account": &config.ServiceAccount.Scope, "local-tasks": &config.LocalTasks.Scope,
		"docker-config": &config.DockerConfig.Scope, "kaniko": &config.Kaniko.Scope,
		"env": &config.Env.Scope, "ca-bundle": &config.CABundle.Scope, "resources": &config.Resources.Scope,
		"image-pull-secrets": &config.ImagePullSecrets.Scope,
		"pod-template":       &config.PodTemplate.Scope, "image-mirror": &config.ImageMirror.Scope,
	}
}

func (c testCase) mutator(t *testing.T) *mutator.Mutator {
	t.Helper()
	m, err := mutator.New(c.config.Mutator, c.mirror(t), answers{c.world})
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	m.Refusal = func(context.Context, schema.GroupVersionKind, string, map[string]any) string { return c.world.Refuses }
	return m
}

func (c testCase) mirror(t *testing.T) *image.Rules {
	t.Helper()
	if c.config.Mirror.Empty() {
		return nil
	}
	rules, err := c.config.Mirror.Compile()
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return rules
}

func (c testCase) set(t *testing.T) *policy.Set {
	t.Helper()
	set, err := policy.Compile(policy.Input{Config: c.config.Mutator, Mirror: c.mirror(t), Tekton: c.world.Settings,
		Namespaces: namespaces()})
	if err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return set
}

func kindOf(t *testing.T, raw []byte) schema.GroupVersionKind {
	t.Helper()
	var meta struct{ APIVersion, Kind string }
	if err := json.Unmarshal(raw, &meta); err != nil {
		t.Fatal(err)
	}
	return schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
}

// limits are the cases in which the policies do less than the webhook, by the limit
// that says so.
var limits = map[string]string{
	"docker-config/account-look-up-fails":           "accounts",
	"docker-config/account-unknown":                 "accounts",
	"docker-config/namespace-look-up-fails":         "accounts",
	"docker-config/local-task":                      "local-tasks",
	"docker-config/local-task-dockerconfig-unbound": "local-tasks",
	"docker-config/local-task-pod-template":         "local-tasks",
	"docker-config/local-task-skopeo":               "local-tasks",
	"docker-config/local-task-skopeo-own-auth-file": "local-tasks",
	"docker-config/kaniko-dir-kept":                 "kaniko-dir",
	"docker-config/auth-file":                       "auth-file",
	"docker-config/namespace-settings":              "settings-of-namespaces",
	"docker-config/namespace-settings-wrong":        "settings-of-namespaces",
	"docker-config/parameter-in-image":              "parameters",
	"service-account/namespace-has-its-own":         "settings-of-namespaces",
	"image-mirror/entrypoint-known":                 "entrypoints",
	"image-mirror/entrypoint-known-task":            "entrypoints",
	"image-mirror/entrypoint-mirror":                "entrypoints",
	"image-mirror/entrypoint-mirror-task":           "entrypoints",
	"image-mirror/annotation-is-no-json":            "originals",
	"image-mirror/record-odd":                       "originals",
	"image-mirror/left-alone":                       "parameters",
	"image-mirror/param-default":                    "parameters",
	"image-mirror/param-of-run":                     "parameters",
	"image-mirror/param-of-local-task":              "parameters",
	"image-mirror/param-of-resolved-task":           "parameters",
	"image-mirror/param-of-step-action":             "parameters",
	"image-mirror/volumes":                          "image-volumes",
	"image-mirror/volumes-except":                   "image-volumes",
	"image-mirror/volumes-pipelinerun":              "image-volumes",
	"image-mirror/volumes-v1beta1":                  "image-volumes",
	"image-mirror/volumes-resolved-task":            "image-volumes",
	"local-tasks/pod-template-suffices":             "local-tasks",
	"image-mirror/created-again":                    "created-again",
	"image-mirror/created-again-mirror-of-a-mirror": "created-again",
	"image-mirror/former":                           "created-again",
	"image-mirror/former-no-rule":                   "created-again",
	"together/created-again-by-tkn":                 "created-again",
	"together/stored-task":                          "parameters",
	"image-mirror/former-resolved-task":             "created-again",
}

// TestCases holds the policies to the mutator's own code, in all of its cases that
// are not about Pods: they make the same of an object, or leave it as it is and the
// exporter names the reason. And they make the same of it when each is there twice.
func TestCases(t *testing.T) {
	b := newBed(t)
	groups := b.groups()
	var sets, doubles []*policy.Set
	for _, g := range groups {
		set := within(g.set, g.name)
		sets, doubles = append(sets, set), append(doubles, twice(set))
	}
	once := map[string]map[string]any{}
	b.enforce(sets...)
	unused := maps.Clone(limits)
	for _, g := range groups {
		for _, c := range g.cases {
			t.Run(c.name, func(t *testing.T) { once[c.name] = b.compare(t, c, g.set) })
			delete(unused, c.name)
		}
	}
	b.enforce(doubles...)
	for _, g := range groups {
		for _, c := range g.cases {
			t.Run(c.name+", twice", func(t *testing.T) { b.repeat(t, c, once[c.name]) })
		}
	}
	t.Logf("%d cases under %d configurations", len(once), len(groups))
	for name := range unused {
		t.Errorf("the limit of %s belongs to no case", name)
	}
}

// group is the cases that share a configuration.
type group struct {
	name  string // the value of a label of their namespaces
	set   *policy.Set
	cases []testCase
}

// groups returns all cases, and makes their namespaces.
func (b *bed) groups() []*group {
	b.Helper()
	known := map[string]*group{}
	var all []*group
	for i, folder := range folders(b.T) {
		c := load(b.T, folder)
		if !served(kindOf(b.T, c.input)) {
			continue
		}
		c.space = fmt.Sprintf("ci-%d", i)
		c.populate(b.T)
		key, err := json.Marshal([]any{c.config, c.world.Settings})
		if err != nil {
			b.Fatal(err)
		}
		g := known[string(key)]
		if g == nil {
			g = &group{name: fmt.Sprintf("g%d", len(all)), set: c.set(b.T)}
			known[string(key)], all = g, append(all, g)
		}
		g.cases = append(g.cases, c)
		b.world(c.space, labelled(c.world, g.name))
	}
	return all
}

// served reports whether the API server has a kind that policies are for. Pods are a limit.
func served(kind schema.GroupVersionKind) bool {
	switch kind.Kind {
	case "TaskRun", "PipelineRun", "Task", "Pipeline":
		return kind.Group == "tekton.dev" && kind.Version != "v1alpha1"
	case "StepAction":
		return kind.Group == "tekton.dev"
	}
	return false
}

// populate adds the ServiceAccount that every namespace has, and the one that the run
// names, to a world that says nothing of ServiceAccounts: a policy is for those that
// exist alone, where the webhook takes what it cannot find for what will be there.
func (c *testCase) populate(t *testing.T) {
	t.Helper()
	if len(c.world.ServiceAccounts) > 0 || c.world.Error != "" || c.name == "docker-config/account-unknown" {
		return
	}
	var run struct {
		Spec struct {
			ServiceAccountName json.RawMessage
			TaskRunTemplate    json.RawMessage
		}
	}
	var name string
	var template struct{ ServiceAccountName string }
	if json.Unmarshal(c.input, &run) == nil {
		_ = json.Unmarshal(run.Spec.ServiceAccountName, &name) // of another shape in some cases
		_ = json.Unmarshal(run.Spec.TaskRunTemplate, &template)
	}
	c.world.ServiceAccounts = map[string]mutator.Account{}
	for _, account := range []string{"default", name, template.ServiceAccountName} {
		if account != "" {
			c.world.ServiceAccounts[account] = mutator.Account{Secrets: []string{"registry"}}
		}
	}
}

func folders(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(testdata + "*/*/input.yaml")
	if err != nil || len(all) < 100 {
		t.Fatalf("found %d cases, error %v", len(all), err)
	}
	for i := range all {
		all[i] = filepath.Dir(all[i])
	}
	return all
}

// compare sends the object of a case to the API server, and holds what comes back to
// what the mutator makes of it with the rules that were exported. Whatever comes
// back, the webhook with all rules makes of it what it makes of the object itself. It
// returns what comes back, nil for an object that is refused.
func (b *bed) compare(t *testing.T, c testCase, set *policy.Set) map[string]any {
	t.Helper()
	at := *b
	at.T = t
	want, refused := at.made(c.exported(set).mutator(t), c.input, c.space)
	got, err := at.sent(c.input, c.space)
	if refused != nil || err != nil {
		if (refused == nil) != (err == nil) {
			t.Errorf("the API server says %v, and of what the mutator makes of it %v", err, refused)
		}
		return nil
	}
	diff := same(got, want)
	limit, limited := limits[c.name]
	switch {
	case diff == "" && limited:
		t.Errorf("the policies do what the mutator does, and the limit %q is said to keep them from it", limit)
	case diff != "" && !limited:
		t.Errorf("the policies do not what the mutator does:\n%s", diff)
	case limited && !slices.ContainsFunc(slices.Concat(set.Limits, set.Remainder), func(l policy.Limit) bool {
		return l.ID == limit && (l.Rule == "" || l.Rule == c.rule)
	}):
		t.Errorf("the exporter does not name the limit %q", limit)
	}
	at.beside(c, got)
	return got
}

// repeat holds what comes back from policies that are there more than once to what came
// back from each alone: once is nil for an object that was refused.
func (b *bed) repeat(t *testing.T, c testCase, once map[string]any) {
	t.Helper()
	at := *b
	at.T = t
	got, err := at.sent(c.input, c.space)
	if err != nil {
		if once != nil {
			t.Errorf("the API server refuses it: %v", err)
		}
		return
	}
	sortEnv(got)
	sortEnv(once)
	if !reflect.DeepEqual(got, once) {
		text, _ := json.Marshal(got)
		want, _ := json.Marshal(once)
		t.Errorf("policies under two names make something else of it:\ngot  %s\nwant %s", text, want)
	}
}

// exported returns the case without the rules that no policy was made of.
func (c testCase) exported(set *policy.Set) testCase {
	for id, scope := range scopes(&c.config.Mutator) {
		scope.Disabled = scope.Disabled || slices.ContainsFunc(set.Remainder,
			func(l policy.Limit) bool { return l.Rule == id })
	}
	return c
}

// beside holds that a webhook beside the policies does what is left.
func (b *bed) beside(c testCase, got map[string]any) {
	b.Helper()
	if kind := kindOf(b.T, c.input); kind.Version != "v1" && kind.Kind != "StepAction" {
		return // what comes back went through the version that is stored, and lost fields
	}
	alone, err := b.made(c.mutator(b.T), c.input, c.space)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := json.Marshal(got)
	if err != nil {
		b.Fatal(err)
	}
	both, err := b.made(c.mutator(b.T), raw, c.space)
	if err != nil {
		b.Fatal(err)
	}
	if diff := same(both, alone); diff != "" {
		b.Errorf("with the policies, the webhook makes something else of it:\n%s", diff)
	}
}
