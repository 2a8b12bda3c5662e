package mutator

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Rule is one thing that Tekgate does to objects.
type Rule struct {
	ID    string                    // as in the configuration, in messages and in testdata
	Doc   string                    // Markdown for RULES.md: what it does, why, and what it leaves alone
	Kinds []schema.GroupVersionKind // every served version by name, see taskRuns

	// Apply edits in.Object, once it is sure of all that it has to know, and
	// tells what it did. It must do nothing to an object that it has edited
	// before, and nothing to one whose JSON is not of the expected shape.
	Apply func(ctx context.Context, in Input) Effect
}

// Rules are all rules, in the order in which they are applied.
var Rules = []Rule{
	dockerConfigRule,
	serviceAccountRule,
}

// Input is what a rule may know.
type Input struct {
	Object          map[string]any // decoded JSON, numbers as json.Number; the rule edits it
	Namespace       string         // of the request
	Config          Config
	ServiceAccounts ServiceAccounts // nil: none exists
}

// Effect is what a rule did.
type Effect struct {
	Did      string   // one line for the audit log; empty if and only if nothing was changed
	Warnings []string // what the user ought to know, one line each, without the rule's id
}

// taskRuns names every version. A rule for v1 alone would also be given
// v1beta1 objects, converted there and back, and lose what v1 cannot say:
// taskRef.bundle vanishes, and a local Task of that name runs instead.
var taskRuns = []schema.GroupVersionKind{
	{Group: "tekton.dev", Version: "v1", Kind: "TaskRun"},
	{Group: "tekton.dev", Version: "v1beta1", Kind: "TaskRun"},
}
