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
//     of a run (tektoncd/pipeline#8148).
//   - Rules look at the object alone, never at what an earlier call did, and a
//     second pass changes nothing: the API server calls once more after Tekton's
//     own webhook has filled in its defaults, and may call in the other order.
//   - What the author wrote stays. A rule fills a gap or does nothing.
package mutator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"gomodules.xyz/jsonpatch/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
)

// ServiceAccounts tells whether a ServiceAccount exists, in the cluster or in
// whatever stands for it.
type ServiceAccounts interface {
	Exists(ctx context.Context, namespace, name string) (bool, error)
}

// Mutator applies Rules as Config wants them.
type Mutator struct {
	Config          Config
	ServiceAccounts ServiceAccounts // nil: none exists
}

// Outcome is what became of one object. Nothing in it is secret: rules tell the
// names of steps and ServiceAccounts, never values.
type Outcome struct {
	Object   map[string]any        // the object as the rules left it, numbers as json.Number
	Patch    []jsonpatch.Operation // from the object that came in to Object; empty if nothing changed
	Did      map[string]string     // per id of a rule that changed something, what it did
	Warnings []string              // single lines for the user
}

// Mutate applies the rules for kind to raw, the JSON of one object. The
// namespace is that of the request, since the object need not name its own.
//
// The error says that raw is not a JSON object.
func (m *Mutator) Mutate(ctx context.Context, kind schema.GroupVersionKind, namespace string, raw []byte) (Outcome, error) {
	decoded, err := object.Decode(raw)
	if err != nil {
		return Outcome{}, fmt.Errorf("decoding %s: %w", kind.Kind, err)
	}
	out := Outcome{Object: decoded, Did: map[string]string{}}
	in := Input{Object: decoded, Namespace: namespace, Config: m.Config, ServiceAccounts: m.ServiceAccounts}
	for _, rule := range Rules {
		if !slices.Contains(rule.Kinds, kind) {
			continue
		}
		effect := rule.Apply(ctx, in)
		if effect.Did != "" {
			out.Did[rule.ID] = effect.Did
		}
		for _, warning := range effect.Warnings {
			out.Warnings = append(out.Warnings, warning+" (rule "+rule.ID+")")
		}
	}
	if len(out.Did) == 0 {
		return out, nil
	}
	out.Patch, err = patch(raw, decoded)
	return out, err
}

// Matches tells whether any rule is for this kind, so that callers need not
// decode objects in vain.
func Matches(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(Rules, func(r Rule) bool { return slices.Contains(r.Kinds, kind) })
}

func patch(raw []byte, fields map[string]any) ([]jsonpatch.Operation, error) {
	changed, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encoding the changed object: %w", err)
	}
	operations, err := jsonpatch.CreatePatch(raw, changed)
	if err != nil {
		return nil, fmt.Errorf("comparing the object with the changed one: %w", err)
	}
	return operations, nil
}
