package custom_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/custom"
	"github.com/tekgate/tekgate/validator/rule"
)

func definition(expression string) custom.Definition {
	return custom.Definition{
		ID:         "team-label",
		Kinds:      []string{"TaskRun"},
		Expression: expression,
		Message:    "add a label team",
	}
}

// TestValidate holds that what is wrong with a definition is an error with its place and a remedy.
func TestValidate(t *testing.T) {
	deep := strings.Repeat("object.spec.x.all(a, ", 5) + "true" + strings.Repeat(")", 5)
	for name, tt := range map[string]struct {
		change func(d *custom.Definition)
		want   string
	}{
		"syntax":          {expr("object.spec.("), "[0].expression: rule team-label does not compile: no viable alternative at input '.(' at column 13"},
		"a later line":    {expr("object.spec.x ||\n  objekt.spec"), "undeclared reference to 'objekt' at line 2, column 3"},
		"not a boolean":   {expr("'text'"), "[0].expression: rule team-label has a result of type string, and it must be bool"},
		"empty":           {expr(" "), "[0].expression: rule team-label has none"},
		"long":            {expr("true || '" + strings.Repeat("x", 9000) + "' == ''"), "8192 are allowed"},
		"costs too much":  {expr(deep), "nest fewer loops"},
		"many look-ups":   {expr("object.spec.x.all(a, set.has('Task', a)) && object.spec.y.all(a, object.spec.z.all(b, set.has('Task', b)))"), "nest fewer loops"},
		"a Secret":        {expr("set.has('Secret', 'x')"), "set.has asks for a Secret, which the admission server may not read"},
		"a ConfigMap":     {expr("size(set.names('ConfigMap')) > 0"), "set.names asks for a ConfigMap"},
		"another kind":    {expr("set.get('Node', 'x').spec.x"), `the kind "Node", which the admission server may not read: it reads Cl`},
		"an account":      {expr("set.get('ServiceAccount', 'x').x == 1"), "knows the name alone: ask set.has or set.names"},
		"an unknown kind": {expr("set.has(object.kind, 'x')"), "must be a text, such as 'Task'"},
		"a message's type": {func(d *custom.Definition) { d.MessageExpression = "1" },
			"[0].messageExpression: rule team-label has a result of type int, and it must be string"},
		"a message of others": {func(d *custom.Definition) { d.MessageExpression = "set.names('Task').join()" },
			"[0].messageExpression: rule team-label may use object alone"},
		"no message": {func(d *custom.Definition) { d.Message = "" }, "[0].message: say what is wrong"},
		"two lines":  {func(d *custom.Definition) { d.Message = "a\nb" }, "[0].message: it must be one line"},
		"built-in":   {func(d *custom.Definition) { d.ID = "privileged" }, `[0].id: there is a built-in rule "privileged": choose another name, such as own-privileged`},
		"bad id":     {func(d *custom.Definition) { d.ID = "Team" }, `[0].id: "Team" is not the name of a rule`},
		"no kinds":   {func(d *custom.Definition) { d.Kinds = nil }, "[0].kinds: name the kinds"},
		"misspelt":   {func(d *custom.Definition) { d.Kinds = []string{"TaskRunn"} }, `[0].kinds[0]: "TaskRunn" is not judged: did you mean "TaskRun"?`},
		"severity":   {func(d *custom.Definition) { d.Severity = "bad" }, `[0].severity: "bad" is not known`},
		"path":       {func(d *custom.Definition) { d.Path = "spec tasks" }, `[0].path: "spec tasks" is not the path of a field`},
	} {
		d := definition("true")
		tt.change(&d)
		err := custom.Validate([]custom.Definition{d}, []string{"privileged"})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if err := custom.Validate([]custom.Definition{definition("true"), definition("true")}, nil); err == nil ||
		!strings.Contains(err.Error(), "[1].id: the rule \"team-label\" is defined twice") {
		t.Errorf("twice: %v", err)
	}
	if err := custom.Validate(
		make([]custom.Definition, 101),
		nil,
	); err == nil ||
		!strings.Contains(err.Error(), ": there are 101 rules") {
		t.Errorf("too many: %v", err)
	}
}

func expr(text string) func(*custom.Definition) {
	return func(d *custom.Definition) { d.Expression = text }
}

// others is a cluster that has the Task build, whose look-ups of a Pipeline fail.
type others struct{ rule.Nowhere }

func (others) Get(_ context.Context, kind schema.GroupKind, namespace, name string) (map[string]any, error) {
	switch {
	case kind.Kind == "Pipeline":
		return nil, errors.New("the API server is away")
	case kind.Kind == "ServiceAccount":
		return nil, rule.ErrUnknown
	case kind.Kind == "ClusterTask" && namespace == "", kind.Kind == "Task" && namespace == "ci" && name == "build":
		return object.Decode([]byte(`{"spec": {"steps": [{"name": "a"}]}}`))
	}
	return nil, nil
}

func (others) Names(context.Context, schema.GroupKind, string) ([]string, error) {
	return []string{"build"}, nil
}

const run = `{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "x", "labels": {"team": "a"}},
"spec": {"retries": 3, "share": 0.5, "big": 12345678901234567890, "none": null, "taskRef": {"name": "build"}, "list": [1, "b"]}}`

// judge returns the findings of an expression about the run, or what is unknown, one line each.
func judge(t *testing.T, d custom.Definition, offline bool) (found, unknown, failed string, err error) {
	t.Helper()
	r, err := d.Compile()
	if err != nil {
		t.Fatalf("%s: %v", d.Expression, err)
	}
	fields, err := object.Decode([]byte(run))
	if err != nil {
		t.Fatal(err)
	}
	p := &rule.Pass{Object: fields, Kind: rule.TaskRuns[0], Namespace: "ci", Cluster: others{}, Offline: offline,
		Failure: func(id string) { failed += id }}
	findings, lines, err := p.Judge(t.Context(), r, rule.Enforce)
	for _, f := range findings {
		found += fmt.Sprintf("%s %s %s: %s\n", f.Severity, f.Mode, f.Path, f.Message)
	}
	return found, strings.Join(lines, "\n"), failed, err
}

// TestExpressions holds what expressions see: the object as the API server has it, and others.
func TestExpressions(t *testing.T) {
	for expression, fine := range map[string]bool{
		"object.metadata.labels.team == 'a'":                           true,
		"object.metadata.namespace == 'ci'":                            true, // the object leaves it out
		"object.kind == 'TaskRun' && object.spec.retries < 3":          false,
		"object.spec.retries == 3 && type(object.spec.retries) == int": true,
		"object.spec.share < 1 && object.spec.big > 1":                 true,
		"object.spec.none == null && has(object.spec.none)":            true,
		"has(object.spec.absent)":                                      false,
		"object.spec.?absent.orValue('x') == 'x'":                      true,
		"object.spec.list.exists(i, i == 'b')":                         true,
		"sets.contains(['a', 'b'], [object.metadata.labels.team])":     true,
		"object.metadata.name.upperAscii() == 'X'":                     true,
		"[3, 1].sort() == [1, 3]":                                      true,
		"set.has('Task', object.spec.taskRef.name)":                    true,
		"set.has('Task', 'other')":                                     false,
		"set.has('ClusterTask', 'any')":                                true,
		"size(set.get('Task', 'build').spec.steps) == 1":               true,
		"has(set.get('Task', 'other').spec)":                           false,
		"'build' in set.names('Task')":                                 true,
	} {
		found, unknown, failed, err := judge(t, definition(expression), false)
		want := ""
		if !fine {
			want = "warning enforce spec: add a label team\n"
		}
		if found != want || unknown != "" || failed != "" || err != nil {
			t.Errorf("%s: found %q, unknown %q, failed %q, error %v", expression, found, unknown, failed, err)
		}
	}
}

// TestMessages holds where a message comes from.
func TestMessages(t *testing.T) {
	d := definition("false")
	d.Path, d.Severity = "metadata.labels", rule.Error
	for expression, want := range map[string]string{
		"'retries: ' + string(object.spec.retries)": "retries: 3",
		"'two\\nlines'":       "two lines",
		"object.spec.absent":  "add a label team", // fails
		"''":                  "add a label team",
		"object.spec.retries": "add a label team", // is no text
	} {
		d.MessageExpression = expression
		if found, _, _, _ := judge(t, d, false); found != "error enforce metadata.labels: "+want+"\n" {
			t.Errorf("%s: %q", expression, found)
		}
	}
}

// TestFailures holds that an expression that fails finds nothing, and that it is told: to the
// author of the rule in files, with the remedy, and elsewhere as what is unknown.
func TestFailures(t *testing.T) {
	for _, expression := range []string{"object.spec.absent == 1", "object.spec.list.x == 1"} {
		found, unknown, failed, err := judge(t, definition(expression), false)
		if found != "" || failed != "team-label" || err != nil || !strings.Contains(unknown, "so it passes") {
			t.Errorf("%s: found %q, unknown %q, failed %q, error %v", expression, found, unknown, failed, err)
		}
		found, unknown, failed, _ = judge(t, definition(expression), true)
		if !strings.HasPrefix(found, "warning warn spec: the expression") || !strings.Contains(found, "has(") ||
			unknown+failed != "" {
			t.Errorf("%s: in a file: found %q, unknown %q, failed %q", expression, found, unknown, failed)
		}
	}
	found, unknown, failed, _ := judge(t, definition("object.spec"), true)
	if !strings.Contains(found, "has to be true or false, and for this object it is of the type map") ||
		strings.Contains(found, "has(") || unknown+failed != "" {
		t.Errorf("no boolean: found %q, unknown %q, failed %q", found, unknown, failed)
	}
	found, unknown, failed, _ = judge(t, definition("set.has('Pipeline', 'x')"), false)
	if found+failed != "" ||
		!strings.Contains(unknown, "looking up another object failed: the API server is away") {
		t.Errorf("a look-up: found %q, unknown %q, failed %q", found, unknown, failed)
	}
	if found, unknown, failed, _ = judge(
		t,
		definition("set.has('ServiceAccount', 'x')"),
		false,
	); found+unknown+failed != "" {
		t.Errorf("what nobody can know: found %q, unknown %q, failed %q", found, unknown, failed)
	}
}

// TestCost holds that an evaluation ends at the limit, and that the rule then counts as one that
// could not judge in time: it must not find nothing.
func TestCost(t *testing.T) {
	r, err := definition("object.spec.list.all(a, object.spec.list.all(b, a + b != 'xy'))").Compile()
	if err != nil {
		t.Fatal(err)
	}
	list := make([]any, 2000)
	for i := range list {
		list[i] = strings.Repeat("x", 100)
	}
	p := &rule.Pass{Object: map[string]any{"spec": map[string]any{"list": list}}, Cluster: rule.Nowhere{}}
	found, _, err := p.Judge(t.Context(), r, rule.Enforce)
	if !errors.Is(err, rule.ErrBudget) || len(found) > 0 {
		t.Errorf("found %v, error %v", found, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-ctx.Done()
	if _, _, err := p.Judge(ctx, r, rule.Enforce); !errors.Is(err, rule.ErrBudget) {
		t.Errorf("with no time: error %v", err)
	}
	if r, err = definition(
		"['a','b','c','d','e','f','g','h','i','j','k','l','m','n','o','p','q','r','s','t','u','v'].all(n, set.has('Task', 'build'))",
	).Compile(); err != nil {
		t.Fatal(err)
	}
	p.Cluster, p.Namespace = others{}, "ci"
	if _, _, err := p.Judge(t.Context(), r, rule.Enforce); !errors.Is(err, rule.ErrBudget) {
		t.Errorf("with 22 look-ups: error %v", err)
	}
}

// TestTemplates holds that what a TriggerTemplate is to create is not judged before it has values.
func TestTemplates(t *testing.T) {
	r, err := definition("false").Compile()
	if err != nil {
		t.Fatal(err)
	}
	p := &rule.Pass{Object: map[string]any{}, Template: map[string]any{}}
	if found, _, err := p.Judge(t.Context(), r, rule.Enforce); len(found) > 0 || err != nil {
		t.Errorf("found %v, error %v", found, err)
	}
}
