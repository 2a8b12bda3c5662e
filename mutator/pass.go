package mutator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/strict"
)

// What people write to have a say.
const (
	// MutateKey with the value Disabled, as a label of a Namespace or an
	// annotation of an object, keeps all rules away.
	MutateKey = "tekgate.dev/mutate"
	Disabled  = "disabled"
	// SkipKey is an annotation of an object: the ids of rules that leave it
	// alone, between commas.
	SkipKey = "tekgate.dev/skip-rules"
	// ConfigKey is an annotation of a Namespace: YAML of the section mutator that
	// holds there over the cluster's.
	ConfigKey = "tekgate.dev/mutator"
)

// signatureKey marks what Tekton's Trusted Resources have signed
// (pkg/trustedresources/verify.go, pipeline v1.15.0).
const signatureKey = "tekton.dev/signature"

// pass is one object on its way through the rules.
type pass struct {
	object   map[string]any
	kind     schema.GroupVersionKind
	space    string // the namespace
	resolved bool
	explain  bool
	settings *settings
	cluster  Cluster
	tekton   Tekton

	tasks     []object.Task
	seen      map[string]*stepViews // by the path of the task, see views
	labels    labels.Set
	notes     map[string]any    // the object's annotations
	originals map[string]string // from the image that an author wrote to what it became
	// remembered tells whether rules have added to originals.
	remembered bool
	skipped    []string // rules that the object opted out of
	why        string   // why no rule is applied at all, "" if they are

	rule *Rule // the one that is applied
	out  Outcome
}

// begin reads what all rules want to know.
func (m *Mutator) begin(ctx context.Context, req Request, decoded map[string]any) *pass {
	p := &pass{
		object: decoded, kind: req.Kind, space: req.Namespace, resolved: req.Resolved, explain: req.Explain,
		settings: m.settings, cluster: m.cluster, tekton: m.cluster.Tekton(ctx),
		out: Outcome{Object: decoded},
	}
	var r object.Reader
	metadata := r.Fields(decoded, "metadata")
	p.notes = r.Fields(metadata, "annotations")
	p.labels = texts(r.Fields(metadata, "labels"))
	if r.Odd {
		p.why = "its metadata is not of the shape that Kubernetes takes"
		return p
	}
	if version, kind := req.Kind.ToAPIVersionAndKind(); decoded["apiVersion"] != version || decoded["kind"] != kind {
		p.why = fmt.Sprintf("it does not say that it is a %s of %s", kind, version)
		return p
	}
	p.optOut()
	if p.why == "" { // else nobody wants to hear of the Namespace's settings
		p.overlay(ctx, m)
	}
	p.optOutOfRules()
	p.originals = readOriginals(p.notes)
	p.tasks = object.Tasks(decoded)
	return p
}

// texts returns the strings among the fields.
func texts(fields map[string]any) map[string]string {
	out := make(map[string]string, len(fields))
	for key, value := range fields {
		if text, ok := value.(string); ok {
			out[key] = text
		}
	}
	return out
}

// overlay takes the Namespace's own settings.
func (p *pass) overlay(ctx context.Context, m *Mutator) {
	namespace, err := p.cluster.Namespace(ctx, p.space)
	if err != nil || namespace == nil {
		return // unknown: the cluster's settings hold
	}
	if namespace.Labels[MutateKey] == Disabled {
		p.why = fmt.Sprintf("Namespace %q has the label %s=%s", p.space, MutateKey, Disabled)
		return
	}
	text := namespace.Annotations[ConfigKey]
	if text == "" {
		return
	}
	own, err := m.overlays.get(m.settings, text)
	if err != nil {
		p.out.Warnings = append(p.out.Warnings, fmt.Sprintf(
			"the annotation %s of Namespace %q is not valid, so the cluster's configuration holds: %s",
			ConfigKey, p.space, strings.ReplaceAll(err.Error(), "\n", "; ")))
		return
	}
	p.settings = own
}

// optOut reads whether the object's author wants none of the rules.
func (p *pass) optOut() {
	if p.notes[MutateKey] == Disabled {
		p.why = fmt.Sprintf("it has the annotation %s: %s", MutateKey, Disabled)
	}
}

// optOutOfRules reads which of the rules the object's author does not want.
func (p *pass) optOutOfRules() {
	if p.why != "" {
		return
	}
	if !p.resolved && p.notes[signatureKey] != nil && slices.Contains(stored, p.kind) {
		p.why = "it is signed, and a change would break the signature"
		return
	}
	for _, id := range skipped(p.notes) {
		p.skipped = append(p.skipped, id)
		if !slices.Contains(ruleIDs(), id) {
			p.out.Warnings = append(p.out.Warnings, unknownRule(id))
		}
	}
}

// skipped returns the ids that SkipKey lists.
func skipped(notes map[string]any) []string {
	list, _ := notes[SkipKey].(string)
	var ids []string
	for id := range strings.SplitSeq(list, ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func skips(notes map[string]any, id string) bool { return slices.Contains(skipped(notes), id) }

func ruleIDs() []string {
	ids := make([]string, 0, len(Rules))
	for _, rule := range Rules {
		ids = append(ids, rule.ID)
	}
	return ids
}

func unknownRule(id string) string {
	if near := strict.Closest(id, ruleIDs()); near != "" {
		return fmt.Sprintf("the annotation %s names the rule %q, which does not exist: did you mean %q?", SkipKey, id, near)
	}
	return fmt.Sprintf("the annotation %s names the rule %q, which does not exist: there are %s", SkipKey, id, strings.Join(ruleIDs(), ", "))
}

// run applies one rule if it is for this object.
func (p *pass) run(ctx context.Context, rule *Rule) {
	p.rule = rule
	switch scope := rule.scope(p.settings); {
	case !rule.Handles(p.kind):
		p.not("", "the rule is not for this kind")
	case p.why != "":
		p.not("", p.why)
	case slices.Contains(p.skipped, rule.ID):
		p.not("", "the annotation "+SkipKey+" names the rule")
	case !scope.on:
		p.not("", "the rule is switched off")
	default:
		if why := scope.excludes(p.space, p.labels); why != "" {
			p.not("", why)
			return
		}
		rule.apply(ctx, p)
	}
}

// did records a change.
func (p *pass) did(where, format string, args ...any) {
	if p.out.Decisions == nil {
		p.out.Decisions = make([]Decision, 0, 24)
	}
	p.out.Decisions = append(p.out.Decisions, Decision{Rule: p.rule.ID, Where: where, Did: fmt.Sprintf(format, args...)})
}

// not records why nothing was changed. Callers whose words cost something ask
// p.explain first.
func (p *pass) not(where, why string) {
	if p.explain {
		p.out.Decisions = append(p.out.Decisions, Decision{Rule: p.rule.ID, Where: where, Why: why})
	}
}

// notStep is not for a step.
func (p *pass) notStep(step object.Step, why string) {
	if p.explain {
		p.not(stepPlace(step), why)
	}
}

// warn tells the user something that is no refusal.
func (p *pass) warn(format string, args ...any) {
	p.out.Warnings = append(p.out.Warnings, fmt.Sprintf(format, args...)+" (rule "+p.rule.ID+")")
}

func (p *pass) changed() bool {
	return slices.ContainsFunc(p.out.Decisions, func(d Decision) bool { return d.Did != "" })
}

// stepViews are the steps of a task as rules see them.
type stepViews struct {
	all  []*view // odd ones, too
	even []*view // without these
	ok   bool    // whether the list of steps is of the shape that Tekton takes
}

// views returns the steps of a task, none of one that is not of the shape that
// Tekton takes. Four rules ask for the same.
func (p *pass) views(task object.Task) []*view {
	seen, known := p.seen[task.Path]
	if !known {
		seen = p.readAll(task)
		if p.seen == nil {
			p.seen = map[string]*stepViews{}
		}
		p.seen[task.Path] = seen
	}
	if !seen.ok {
		p.not(task.Path, "its steps are not of the shape that Tekton takes")
		return nil
	}
	for _, v := range seen.all {
		if v.odd {
			p.notStep(v.step, "it is not of the shape that Tekton takes")
		}
	}
	return seen.even
}

func (p *pass) readAll(task object.Task) *stepViews {
	steps, ok := task.Steps()
	seen := &stepViews{ok: ok, all: make([]*view, 0, len(steps))}
	views := make([]view, len(steps))
	for i, step := range steps {
		p.read(&views[i], task, step)
		seen.all = append(seen.all, &views[i])
	}
	seen.even = seen.all
	if slices.ContainsFunc(seen.all, func(v *view) bool { return v.odd }) {
		seen.even = slices.DeleteFunc(slices.Clone(seen.all), func(v *view) bool { return v.odd })
	}
	return seen
}

// reread makes the rules that follow read every step once more. Who edits a step in
// a way that its view does not follow has to call it, and who adds to originals,
// which decide under which name all views know their images.
func (p *pass) reread() { clear(p.seen) }
