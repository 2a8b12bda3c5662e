// Command cost counts how often the validator's rules execute their statements for each list
// of each kind's schema, and prints where twice as many items take more than 2.3 times as
// many.
//
// The statements are counted by Go's own coverage, for which the command has to be built:
//
//	go run -cover -covermode=atomic -coverpkg=./validator/...,./internal/...,./hack/cost ./hack/cost
//
// Times would depend on what else the machine does, and on its caches. What the standard
// library executes is not counted.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"runtime/coverage"
	"slices"
	"strings"

	pipelinev1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	pipelinev1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	triggersv1beta1 "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/rule"
)

// namespace is that of the objects.
const namespace = "ci"

func main() {
	lists, steep := 0, 0
	for kind, model := range schemaOf {
		for _, path := range listsOf(reflect.TypeOf(model), nil, 0) {
			if len(path) == 0 || path[0] != "spec" {
				continue
			}
			lists++
			found, err := grow(kind, model, path)
			if err != nil {
				fmt.Fprintln(os.Stderr, "counting statements:", err)
				os.Exit(2)
			}
			for _, line := range found {
				fmt.Println(line)
				steep++
			}
		}
	}
	fmt.Fprintf(os.Stderr, "looked at %d lists\n", lists)
	if steep > 0 {
		os.Exit(1)
	}
}

// errForm says that a newer Go writes its counters in another form.
var errForm = errors.New("the coverage of Go has another form now: see parseCounters")

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

// few is the length of a list; the other one is twice as long.
const few = 250

// most is how many times as often a statement may be executed for twice as many items.
// Sorting takes 2.25 times as many comparisons, and what compares each item with each takes
// four times as many.
const most = 2.3

// grow returns what is wrong with the rules where a list of a kind is twice as long.
func grow(kind schema.GroupVersionKind, model any, path []string) (found []string, err error) {
	short, long := sample(kind, model, path, few), sample(kind, model, path, 2*few)
	if all, err := steepest(validator.Rules, short, long); err != nil || len(all) == 0 {
		return nil, err
	}
	for _, r := range validator.Rules {
		functions, err := always([]*rule.Rule{r}, short, long)
		if err != nil {
			return nil, err
		}
		for f, ratio := range functions {
			found = append(found, fmt.Sprintf("%s, %s of twice the length: the rule %s executes %s %.1f times as often",
				kind.Kind, strings.Join(path, "."), r.ID, f, ratio))
		}
	}
	return found, nil
}

// always returns what steepest returns each time, with the lowest ratio: what sorts the keys
// of a map takes more comparisons in one order of them than in another.
func always(rules []*rule.Rule, short, long validator.Subject) (map[function]float64, error) {
	found, err := steepest(rules, short, long)
	for range 4 {
		if err != nil || len(found) == 0 {
			return nil, err
		}
		var again map[function]float64
		again, err = steepest(rules, short, long)
		maps.DeleteFunc(found, func(f function, _ float64) bool { return again[f] == 0 })
		for f := range found {
			found[f] = min(found[f], again[f])
		}
	}
	return found, err
}

// steepest returns the functions whose statements the rules execute too often for the
// longer of two lists, and how many times as often.
func steepest(rules []*rule.Rule, short, long validator.Subject) (map[function]float64, error) {
	before, err := executed(rules, short)
	if err != nil {
		return nil, err
	}
	after, err := executed(rules, long)
	if err != nil {
		return nil, err
	}
	found := map[function]float64{}
	for f, count := range after {
		ratio := float64(count) / float64(max(before[f], 1))
		if count > 10*few && ratio > most {
			found[f] = ratio
		}
	}
	return found, nil
}

// function names a function by the numbers that the compiler has given it.
type function struct{ packages, function uint64 }

func (f function) String() string {
	return fmt.Sprintf("function %d of package %d", f.function, f.packages)
}

// executed returns how many statements of each function the rules execute for an object.
func executed(rules []*rule.Rule, s validator.Subject) (map[function]uint64, error) {
	v := &validator.Validator{Config: everything(), Rules: slices.DeleteFunc(slices.Clone(rules),
		func(r *rule.Rule) bool { return r.Online })}
	if err := coverage.ClearCounters(); err != nil {
		return nil, err
	}
	v.Judge(context.Background(), s)
	var written bytes.Buffer
	if err := coverage.WriteCounters(&written); err != nil {
		return nil, err
	}
	return parseCounters(written.Bytes())
}

// parseCounters reads what runtime/coverage has written, in the form of Go's
// internal/coverage/encodecounter/encode.go (1.26): a header of 32 bytes, one of a segment
// of 16, two tables whose lengths the second header has, and from the next multiple of four
// on the functions, each the number of its counters, two numbers that name it, and the
// counters, as ULEB128.
func parseCounters(text []byte) (map[function]uint64, error) {
	const header, segment = 32, 16
	if len(text) < header+segment || binary.LittleEndian.Uint32(text[4:]) != 1 {
		return nil, errForm
	}
	functions := binary.LittleEndian.Uint64(text[header:])
	tables := binary.LittleEndian.Uint32(text[header+8:]) + binary.LittleEndian.Uint32(text[header+12:])
	rest := text[header+(segment+int(tables)+3)/4*4:]
	short := false
	next := func() uint64 {
		value, length := binary.Uvarint(rest)
		if short = short || length <= 0; short {
			return 0
		}
		rest = rest[length:]
		return value
	}
	counts := make(map[function]uint64, functions)
	for range functions {
		counters := next()
		f := function{packages: next(), function: next()}
		for i := uint64(0); i < counters && !short; i++ {
			counts[f] += next()
		}
	}
	if short {
		return nil, errForm
	}
	return counts, nil
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

// sample is an object with so many items in the list at a path, and as many parameters, each
// used by one item.
func sample(kind schema.GroupVersionKind, model any, path []string, size int) validator.Subject {
	fields := map[string]any{
		"apiVersion": kind.GroupVersion().String(), "kind": kind.Kind,
		"metadata": map[string]any{"name": "sample", "namespace": namespace},
	}
	build(fields, reflect.TypeOf(model), path, size)
	addParams(fields, size)
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
