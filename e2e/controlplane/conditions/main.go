// Command conditions evaluates match conditions as the API server does, with its own
// code and limits of cost: a question per line of standard input, an answer per line
// of standard output, both in JSON. Starting an API server and waiting until it goes
// by a configuration takes a second; this takes less than a millisecond.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/cel/environment"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conditions:", err)
		os.Exit(1)
	}
}

// question is a request and the conditions that are asked about it. Object and Old
// are absent where the request has none.
type question struct {
	Conditions []admissionv1.MatchCondition `json:"conditions"`
	Operation  admission.Operation          `json:"operation"`
	Namespace  string                       `json:"namespace"`
	Resource   string                       `json:"resource"`
	User       string                       `json:"user"`
	DryRun     bool                         `json:"dryRun"`
	Object     map[string]any               `json:"object"`
	Old        map[string]any               `json:"old"`
}

// answer says whether the webhook would be called, and otherwise by which condition
// it is not. Error is what a condition failed with.
type answer struct {
	Matches bool   `json:"matches"`
	By      string `json:"by,omitempty"`
	Error   string `json:"error,omitempty"`
}

func run() error {
	compiler := cel.NewConditionCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	matchers := map[string]matchconditions.Matcher{}
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) == 0 {
			return nil // the end, as err says
		}
		if err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			return fmt.Errorf("reading a question: %w", err)
		}
		key, err := json.Marshal(q.Conditions)
		if err != nil {
			return err
		}
		matcher, known := matchers[string(key)]
		if !known {
			if matcher, err = compile(compiler, q.Conditions); err != nil {
				if err := out.Encode(answer{Error: err.Error()}); err != nil {
					return err
				}
				continue
			}
			matchers[string(key)] = matcher
		}
		if err := out.Encode(ask(matcher, q)); err != nil {
			return err
		}
	}
}

// compile refuses what the API server refuses, as when a configuration is created.
func compile(compiler cel.ConditionCompiler, conditions []admissionv1.MatchCondition) (matchconditions.Matcher, error) {
	var expressions []cel.ExpressionAccessor
	for _, c := range conditions {
		m := matchconditions.MatchCondition(c)
		expressions = append(expressions, &m)
	}
	variables := cel.OptionalVariableDeclarations{HasAuthorizer: true}
	evaluator := compiler.CompileCondition(expressions, variables, environment.NewExpressions)
	if problems := evaluator.CompilationErrors(); len(problems) > 0 {
		return nil, fmt.Errorf("compiling: %w", errors.Join(problems...))
	}
	fail := admissionv1.Fail // so that no error passes for an answer
	return matchconditions.NewMatcher(evaluator, &fail, "webhook", "admit", "tested"), nil
}

func ask(matcher matchconditions.Matcher, q question) answer {
	object, old := objectOf(q.Object), objectOf(q.Old)
	kind := schema.FromAPIVersionAndKind(fmt.Sprint(q.Object["apiVersion"]), fmt.Sprint(q.Object["kind"]))
	resource := kind.GroupVersion().WithResource(q.Resource)
	attributes := admission.NewAttributesRecord(object, old, kind, q.Namespace, "", resource, "",
		q.Operation, nil, q.DryRun, &user.DefaultInfo{Name: q.User})
	result := matcher.Match(context.Background(), &admission.VersionedAttributes{
		Attributes: attributes, VersionedKind: kind,
		VersionedObject: admission.NewLazyObject(object), VersionedOldObject: admission.NewLazyObject(old),
	}, nil, nil)
	if result.Error != nil {
		return answer{Error: strings.TrimSpace(result.Error.Error())}
	}
	return answer{Matches: result.Matches, By: result.FailedConditionName}
}

// objectOf returns nothing at all for no object, not a nil of some type.
func objectOf(fields map[string]any) runtime.Object {
	if fields == nil {
		return nil
	}
	return &unstructured.Unstructured{Object: numbers(fields).(map[string]any)}
}

// numbers makes whole numbers int64, as the API server's decoder does.
func numbers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = numbers(value[key])
		}
	case []any:
		for i := range value {
			value[i] = numbers(value[i])
		}
	case float64:
		if whole := int64(value); float64(whole) == value {
			return whole
		}
	}
	return value
}
