package validator

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rule is one thing that Tekgate refuses.
type Rule struct {
	ID    string                    // as in messages and in testdata
	Doc   string                    // Markdown for RULES.md: what it refuses, why, and what it lets pass
	Kinds []schema.GroupVersionKind // every served version by name
	Mode  func(Config) Mode         // what the configuration makes of its findings

	// Check reports all that it finds. An object whose JSON is not of the
	// expected shape it judges as far as it can: Tekton will say the rest.
	Check func(ctx context.Context, in Input) Report
}

// Rules are all rules.
var Rules = []Rule{
	danglingReferenceRule,
}

// Input is what a rule may know.
type Input struct {
	Object     map[string]any // decoded JSON, numbers as json.Number; not to be changed
	Namespace  string         // of the request
	References References
}

// Report is what a rule has to say about one object.
type Report struct {
	Findings []Finding // without the rule's id
	Warnings []string  // what could not be found out, one line each, without the rule's id
}

// triggersGroup is the API group of everything in Tekton Triggers.
const triggersGroup = "triggers.tekton.dev"

var eventListeners = []schema.GroupVersionKind{
	{Group: triggersGroup, Version: "v1beta1", Kind: "EventListener"},
	{Group: triggersGroup, Version: "v1alpha1", Kind: "EventListener"},
}
