// Package mutator changes an object by an ordered list of rules.
//
// Each object is decoded once, from its own JSON, changed in place by every rule
// for its kind, and compared once with what came in. The reasons:
//
//   - Tekton's Go types are not used. What they add on the way back into JSON,
//     an empty serviceAccountName for one, the cluster's Tekton takes for a
//     choice of the author (tektoncd/pipeline#9647).
//   - One comparison per request, rather than one patch per rule, since patches
//     that were made apart and joined can undo each other.
//   - Only CREATE. Since v0.62 Tekton refuses every update that changes the spec
//     of a run (tektoncd/pipeline#8148). For the same reason an update that would
//     take away what a rule added, by applying the manifest once more, gets it back.
//   - Rules look at the object alone, never at what an earlier call did, and a
//     second pass changes nothing: the API server calls once more after Tekton's
//     own webhook has filled in its defaults, and may call in the other order.
//     All that is read back is which image a mirror's name stands for, and which
//     variables follow the configuration: a run may be created again, see origin.go.
//   - What the author wrote stays. A rule fills a gap or does nothing; the names
//     of images alone are replaced, where the configuration says so, and the
//     originals are recorded.
//
// Where the steps of a run stand decides who can be reached how:
//
//   - Steps that a TaskRun or PipelineRun writes out are edited where they stand.
//   - Tasks, Pipelines and StepActions from bundles, git, hubs and the cluster
//     resolver: since v0.62 Tekton's controller creates each of them by a dry run
//     and goes on with what the webhooks made of it (tektoncd/pipeline#8108), after
//     it has verified signatures. The server edits them in these dry runs alone,
//     so that what is stored stays what its author signed or keeps in git. If the
//     configuration says localTasks.mode stored, it also edits what is stored and
//     not signed, and records that.
//   - A Task of the run's namespace is looked up. If the rules would change its steps, the
//     run is made to fetch it by the cluster resolver: see the rule local-tasks. Where that
//     is not possible, the run's podTemplate carries the one variable for it; that
//     reaches all steps, so each of them must be free.
//   - Pods are edited last, for what no other way reaches: older releases and
//     steps that refer to a local StepAction. Only what is absent is added, since
//     by then Tekton has looked up entrypoints and counted credentials.
package mutator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/image"
)

// Mutator applies Rules as one configuration wants them. It is safe for
// concurrent use.
type Mutator struct {
	// Controller is the user name of Tekton's controller, whose dry runs of Tasks
	// are no creations: see Request.Resolved.
	Controller string
	// Refusal, if not nil, says why the API server would refuse an object that a resolver has
	// fetched and that the rules have changed, "" if it would not. A run fetches its Task
	// only if that is accepted.
	Refusal func(ctx context.Context, kind schema.GroupVersionKind, namespace string, fields map[string]any) string
	// Observe, if not nil, is called with every outcome, and must not keep it.
	Observe func(schema.GroupVersionKind, Outcome)

	rules    []Rule // all, in their order: rules that refer to Rules would refer to themselves
	settings *settings
	overlays overlays
	cluster  Cluster

	works works
}

// New prepares the rules. Mirror are the rules of the file's section mirror; nil
// means that there are none. A nil cluster holds nothing.
//
// The error is that of Config.Validate.
func New(config Config, mirror *image.Rules, cluster Cluster) (*Mutator, error) {
	compiled, err := compile(config, mirror)
	if err != nil {
		return nil, err
	}
	if config.ImageMirror.Enabled && compiled.images == nil {
		return nil, errors.New("imageMirror.enabled: there is no mirror: write a section mirror, or imageMirror.mirror")
	}
	if cluster == nil {
		cluster = nowhere{}
	}
	controller := ControllerOf("tekton-pipelines")
	return &Mutator{rules: Rules, Controller: controller, settings: compiled, cluster: cluster}, nil
}

// ControllerOf returns the user name of the controller of a Tekton that runs in
// the namespace (config/200-serviceaccount.yaml, pipeline v1.15.0).
func ControllerOf(namespace string) string {
	return "system:serviceaccount:" + namespace + ":tekton-pipelines-controller"
}

// Hash names the configuration: 12 hexadecimal digits that change with it.
func (m *Mutator) Hash() string { return m.settings.hash }

// Request is one object and what is known about it.
type Request struct {
	Kind      schema.GroupVersionKind
	Namespace string // of the request, since an object need not name its own
	Raw       []byte // the JSON of the object
	// Resolved says that Tekton's controller creates the object by a dry run, to
	// run it and not to store it.
	Resolved bool
	// Explain asks for the reasons why rules did nothing, too.
	Explain bool

	// authored says that nobody wants to see status and metadata.managedFields in
	// the outcome.
	authored bool
	// storing says that a Task, Pipeline or StepAction is about to be stored, and old is
	// the one that is stored so far, if any: see Mutator.store.
	storing bool
	old     []byte
	// before is the run as it is, in an update that is to change nothing of it.
	before map[string]any
}

// Outcome is what became of one object. Nothing in it is secret: rules tell the
// names of steps, variables, images and ServiceAccounts, never other values.
type Outcome struct {
	// Object is what the rules made of the object, numbers as json.Number. What they
	// added is the configuration's own, so it must not be edited.
	Object    map[string]any
	Patch     []byte     // the operations of RFC 6902 from the object that came in to Object, as JSON; nil for none
	Decisions []Decision // what was done; with Request.Explain also what was not
	Warnings  []string   // single lines for the user
	// MoreWarnings is how many there are beside Warnings, which has the first thirty.
	MoreWarnings int
	// Kept says that a Task, Pipeline or StepAction is stored like this: see LocalTasks.
	Kept bool
}

// Operations returns the operations of Patch. Numbers in their values are json.Number.
func (o *Outcome) Operations() []jsonpatch.Operation {
	decoder := json.NewDecoder(bytes.NewReader(o.Patch))
	decoder.UseNumber()
	var operations []jsonpatch.Operation
	if decoder.Decode(&operations) != nil {
		return nil // there is no patch
	}
	return operations
}

// Decision is what a rule did, or why it did nothing, at one place.
type Decision struct {
	Rule  string `json:"rule"`
	Where string `json:"where,omitempty"` // such as `spec.taskSpec.steps[0], step "build"`; "" means the object
	Did   string `json:"did,omitempty"`
	Why   string `json:"why,omitempty"` // why not; empty where Did is not
}

// Did returns what was done, one line per id of a rule that changed something.
func (o *Outcome) Did() map[string]string {
	did := map[string]string{}
	var line []byte
	for i, d := range o.Decisions {
		if d.Did != "" {
			if line == nil {
				line = make([]byte, 0, 512)
			}
			if len(line) > 0 {
				line = append(line, "; "...)
			}
			if d.Where != "" {
				line = append(append(line, d.Where...), ": "...)
			}
			line = append(line, d.Did...)
		}
		// Rules decide one after the other.
		if last := i+1 == len(o.Decisions) || o.Decisions[i+1].Rule != d.Rule; last && len(line) > 0 {
			did[d.Rule] = string(line)
			line = line[:0]
		}
	}
	return did
}

// Mutate applies the rules to one object.
//
// The error says that it is not a JSON object.
func (m *Mutator) Mutate(ctx context.Context, req Request) (Outcome, error) {
	w := m.works.get()
	defer m.works.put(w)
	out, err := m.mutate(ctx, req, w)
	out.Decisions = slices.Clone(out.Decisions)
	return out, err
}

// mutate is Mutate with scratch memory, which the decisions of the outcome are part of.
func (m *Mutator) mutate(ctx context.Context, req Request, w *work) (Outcome, error) {
	changed, err := m.apply(ctx, req, w)
	if err != nil {
		return Outcome{}, err
	}
	out := w.pass.out
	if changed {
		if out.Patch, err = w.patch(req.Kind.Kind); err != nil {
			return Outcome{}, err
		}
	}
	if m.Observe != nil {
		m.Observe(req.Kind, out)
	}
	return out, nil
}
