package validator_test

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/rule"
)

// schemaOf are the types that say which lists each kind has.
var schemaOf = map[schema.GroupVersionKind]any{
	pipelinev1.SchemeGroupVersion.WithKind("TaskRun"):              pipelinev1.TaskRun{},
	pipelinev1.SchemeGroupVersion.WithKind("PipelineRun"):          pipelinev1.PipelineRun{},
	pipelinev1.SchemeGroupVersion.WithKind("Task"):                 pipelinev1.Task{},
	pipelinev1.SchemeGroupVersion.WithKind("Pipeline"):             pipelinev1.Pipeline{},
	pipelinev1beta1.SchemeGroupVersion.WithKind("StepAction"):      pipelinev1beta1.StepAction{},
	triggersv1beta1.SchemeGroupVersion.WithKind("EventListener"):   triggersv1beta1.EventListener{},
	triggersv1beta1.SchemeGroupVersion.WithKind("Trigger"):         triggersv1beta1.Trigger{},
	triggersv1beta1.SchemeGroupVersion.WithKind("TriggerBinding"):  triggersv1beta1.TriggerBinding{},
	triggersv1beta1.SchemeGroupVersion.WithKind("TriggerTemplate"): triggersv1beta1.TriggerTemplate{},
}

// cheap is the time under which doubling an object is not looked at: noise.
const cheap = time.Millisecond

// most is how many times as long four times as much may take: 2.3 for each doubling. What
// grows with the square takes 16 times as long.
const most = 2.3 * 2.3

// TestCost doubles each list of each kind's schema twice, alone and beside as many
// parameters, and holds that no rule takes more than 2.3 times as long for each. Rules that
// compared each item with each let an object pass that none had looked at, since the API
// server did not wait.
//
// The figure is a ratio of the CPU times of two runs in the same process, so it does not
// depend on the machine, nor on what else it does.
func TestCost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection is no work of a rule
	for kind, model := range schemaOf {
		t.Run(kind.Kind, func(t *testing.T) {
			for _, path := range listsOf(reflect.TypeOf(model), nil, 0) {
				if len(path) > 0 && path[0] == "spec" {
					grow(t, kind, model, path)
				}
			}
		})
	}
}

// grow holds the rules to a list of a kind.
func grow(t *testing.T, kind schema.GroupVersionKind, model any, path []string) {
	t.Helper()
	for _, beside := range []bool{false, true} {
		slow := slowRules(kind, model, path, 150, beside)
		for _, size := range []int{300, 600} { // again, and larger, to tell a slow rule from noise
			again := map[string]string{}
			for id, what := range slowRules(kind, model, path, size, beside) {
				if slow[id] != "" {
					again[id] = what
				}
			}
			if slow = again; len(slow) == 0 {
				break
			}
		}
		for id, what := range slow {
			t.Errorf("%s, %s of four times the length (params beside it: %v): %s takes %s", kind.Kind,
				strings.Join(path, "."), beside, id, what)
		}
		runtime.GC()
	}
}

// slowRules returns the rules that take too long for four times as many items, by id.
func slowRules(kind schema.GroupVersionKind, model any, path []string, size int, beside bool) map[string]string {
	one := costs(sample(kind, model, path, size, beside))
	two := costs(sample(kind, model, path, 4*size, beside))
	slow := map[string]string{}
	for id, took := range two {
		if ratio := float64(took) / float64(max(one[id], 1)); took > cheap && ratio > most {
			slow[id] = fmt.Sprintf("%.1f times as long, %s for %d items", ratio, took.Round(time.Millisecond), 4*size)
		}
	}
	return slow
}

// everything has all rules on, with lists that ask each of them to look.
func everything() validator.Config {
	config := validator.Default()
	config.Rules = map[string]validator.RuleConfig{}
	for _, r := range validator.Rules {
		config.Rules[r.ID] = validator.RuleConfig{Mode: validator.Warn}
	}
	config.Policy.Images.Allowed = []string{"registry.example.com/**"}
	config.Policy.Images.Reachable = []string{"registry.example.com"}
	config.Policy.Security.Builds.Destinations = []string{"registry.example.com/**"}
	config.Policy.Security.Accounts.Allowed = []string{"builder"}
	return config
}

// costs returns how long each rule takes for an object, the better of two: what several
// rules share counts for the first.
func costs(s validator.Subject) map[string]time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := map[string]time.Duration{}
	for range 2 {
		took := map[string]time.Duration{}
		v := &validator.Validator{Config: everything(), Rules: measured(took)}
		v.Judge(context.Background(), s)
		for id, d := range took {
			if known, is := best[id]; !is || d < known {
				best[id] = d
			}
		}
	}
	return best
}

// measured are the rules, each with its time added to took.
func measured(took map[string]time.Duration) []*rule.Rule {
	var rules []*rule.Rule
	for _, r := range validator.Rules {
		if r.Online {
			continue
		}
		timed := *r
		timed.Check = func(ctx context.Context, p *rule.Pass) {
			began := cpu()
			r.Check(ctx, p)
			took[r.ID] += cpu() - began
		}
		rules = append(rules, &timed)
	}
	return rules
}

// cpu is the time that the thread has computed; waiting for others does not count.
func cpu() time.Duration {
	var spent unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &spent); err != nil {
		panic(err)
	}
	return time.Duration(spent.Nano())
}

// listsOf returns the paths of all lists in a type, by their names in JSON. A list within
// a list has one item of each list above it.
func listsOf(of reflect.Type, path []string, depth int) [][]string {
	const deepest = 7
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	var found [][]string
	switch {
	case depth > deepest:
	case of.Kind() == reflect.Slice && of.Elem().Kind() != reflect.Uint8:
		found = append(found, slices.Clone(path))
		return append(found, listsOf(of.Elem(), path, depth+1)...)
	case of.Kind() == reflect.Struct && of.PkgPath() != "time":
		for i := range of.NumField() {
			field := of.Field(i)
			name, inline := jsonName(field)
			switch {
			case name == "status" || !field.IsExported():
			case inline:
				found = append(found, listsOf(field.Type, path, depth)...)
			case name != "" && !slices.Contains(path, name):
				found = append(found, listsOf(field.Type, append(slices.Clip(path), name), depth+1)...)
			}
		}
	}
	return found
}

func jsonName(field reflect.StructField) (name string, inline bool) {
	name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	if name == "-" {
		return "", false
	}
	return name, name == "" && (field.Anonymous || strings.Contains(options, "inline"))
}

// sample is an object with so many items in the list at a path, and, if beside says so, as
// many parameters, each used by one item.
func sample(kind schema.GroupVersionKind, model any, path []string, size int, beside bool) validator.Subject {
	fields := map[string]any{
		"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind,
		"metadata": map[string]any{"name": "sample", "namespace": namespace},
	}
	build(fields, reflect.TypeOf(model), path, size)
	if beside {
		addParams(fields, size)
	}
	return validator.Subject{Kind: kind, Namespace: namespace, Fields: fields}
}

// build puts a list at a path, and one item into each list on the way.
func build(fields map[string]any, of reflect.Type, path []string, size int) {
	at, item := fields, of
	for i, name := range path {
		item = fieldType(item, name)
		for item.Kind() == reflect.Pointer {
			item = item.Elem()
		}
		switch {
		case i == len(path)-1:
			at[name] = items(item.Elem(), size)
		case item.Kind() == reflect.Slice:
			item = item.Elem()
			inner := filled(item, 0, 0)
			at[name] = []any{inner}
			at, _ = inner.(map[string]any)
		default:
			inner, is := at[name].(map[string]any)
			if !is {
				inner = map[string]any{}
				at[name] = inner
			}
			at = inner
		}
		if at == nil {
			return
		}
	}
}

func fieldType(of reflect.Type, name string) reflect.Type {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	for i := range of.NumField() {
		field := of.Field(i)
		own, inline := jsonName(field)
		if own == name {
			return field.Type
		}
		if inline {
			if found := fieldType(field.Type, name); found != nil {
				return found
			}
		}
	}
	return nil
}

func items(of reflect.Type, size int) []any {
	list := make([]any, size)
	for i := range list {
		list[i] = filled(of, i, 0)
	}
	return list
}

// filled is an item of a list with a name of its own, and texts that refer to a parameter.
func filled(of reflect.Type, i, depth int) any {
	for of.Kind() == reflect.Pointer {
		of = of.Elem()
	}
	switch of.Kind() {
	case reflect.String:
		return fmt.Sprintf("item-%d $(params.p%d)", i, i)
	case reflect.Bool:
		return true
	case reflect.Int, reflect.Int32, reflect.Int64:
		return i
	case reflect.Struct:
		if depth > 1 || of.Name() == "Duration" || of.Name() == "Quantity" {
			return nil
		}
		return filledFields(of, i, depth)
	}
	return nil
}

// plainFields are texts of which a rule wants a certain form.
var plainFields = map[string]func(i int) string{
	"name":  func(i int) string { return fmt.Sprintf("p%d", i) },
	"image": func(i int) string { return fmt.Sprintf("registry.example.com/tool:$(params.p%d)", i) },
	"type":  func(int) string { return "string" },
	"kind":  func(int) string { return "Task" },
}

func filledFields(of reflect.Type, i, depth int) map[string]any {
	fields := map[string]any{}
	for at := range of.NumField() {
		field := of.Field(at)
		name, inline := jsonName(field)
		switch {
		case !field.IsExported() || name == "" && !inline:
		case inline:
			if inner, is := filled(field.Type, i, depth).(map[string]any); is {
				for key, value := range inner {
					fields[key] = cmp.Or[any](fields[key], value)
				}
			}
		case plainFields[name] != nil:
			fields[name] = plainFields[name](i)
		case name == "value" || name == "default":
			fields[name] = fmt.Sprintf("value-%d", i)
		case strings.HasSuffix(name, "Ref") || name == "ref" || name == "taskSpec" || name == "pipelineSpec":
		default:
			if value := filled(field.Type, i, depth+1); value != nil {
				fields[name] = value
			}
		}
	}
	return fields
}

// addParams puts parameters wherever the kind has them.
func addParams(fields map[string]any, size int) {
	spec, _ := fields["spec"].(map[string]any)
	if spec == nil {
		return
	}
	for _, holder := range []any{spec, spec["taskSpec"], spec["pipelineSpec"]} {
		if holder, is := holder.(map[string]any); is && holder["params"] == nil {
			holder["params"] = items(reflect.TypeOf(struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			}{}), size)
		}
	}
}
