package mutator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator/record"
)

// pass is one object on its way through the rules.
type pass struct {
	object   map[string]any
	kind     schema.GroupVersionKind
	space    string // the namespace
	resolved bool
	kept     bool // whether the object, which runs refer to, is stored as the rules leave it
	explain  bool
	mutator  *Mutator
	settings *settings
	cluster  Cluster
	tekton   Tekton

	written   []object.Task // see tasks; nil where they have to be looked for
	seen      []*stepViews  // see views
	room      []view        // that they are taken from
	labels    map[string]any
	notes     map[string]any // the object's annotations
	originals record.Originals
	variables record.Variables
	renamed   bool // whether views have to look at originals again
	account   accountFound
	stored    taskFound
	before    map[string]any // see Request.before
	objected  bool           // whether a step kept DOCKER_CONFIG out of the run's podTemplate
	skipped   []string       // rules that the object opted out of
	why       string         // why no rule is applied at all, "" if they are

	rule *Rule // the one that is applied
	out  Outcome
}

// begin reads what all rules want to know.
func (m *Mutator) begin(ctx context.Context, p *pass, req Request, decoded map[string]any) {
	p.object, p.kind, p.space, p.resolved, p.explain = decoded, req.Kind, req.Namespace, req.Resolved, req.Explain
	p.mutator, p.settings, p.cluster, p.tekton = m, m.settings, m.cluster, m.cluster.Tekton(ctx)
	p.out.Object, p.before = decoded, req.before
	var r object.Reader
	metadata := r.Fields(decoded, "metadata")
	p.notes = r.Fields(metadata, "annotations")
	p.labels = r.Fields(metadata, "labels")
	if r.Odd {
		p.why = "its metadata is not of the shape that Kubernetes takes"
		return
	}
	if version, kind := req.Kind.ToAPIVersionAndKind(); decoded["apiVersion"] != version || decoded["kind"] != kind {
		p.why = fmt.Sprintf("it does not say that it is a %s of %s", kind, version)
		return
	}
	p.optOut()
	if p.why == "" { // else nobody wants to hear of the Namespace's settings
		p.overlay(ctx, m)
	}
	p.keep(req)
	p.optOutOfRules()
	p.originals, p.variables = record.ReadOriginals(p.notes), record.ReadVariables(p.notes)
}

// tasks returns the tasks that the object writes out. That there are none is looked
// for again, and is soon found.
func (p *pass) tasks() []object.Task {
	if p.written == nil {
		p.written = object.Tasks(p.object)
	}
	return p.written
}

// labelled are the labels of an object, for a selector.
type labelled map[string]any

func (l labelled) Has(key string) bool { _, has := l.Lookup(key); return has }

func (l labelled) Get(key string) string { value, _ := l.Lookup(key); return value }

// Lookup takes what is no text for absent.
func (l labelled) Lookup(key string) (string, bool) {
	value, is := l[key].(string)
	return value, is
}

// accountFound is the ServiceAccount that was asked for last: three rules ask for the
// same.
type accountFound struct {
	name    string
	account *Account
	err     error
}

func (p *pass) serviceAccount(ctx context.Context, name string) (*Account, error) {
	if found := p.account; found.name == name && found.account != nil {
		return found.account, found.err
	}
	account, err := p.cluster.ServiceAccount(ctx, p.space, name)
	p.account = accountFound{name, account, err}
	return account, err
}

// taskFound is the Task that was asked for last.
type taskFound struct {
	namespace, name string
	fields          map[string]any
	why             string // there is none that can be used
}

// storedTask returns a Task of a namespace, or why there is none that can be used.
func (p *pass) storedTask(ctx context.Context, namespace, name string) (fields map[string]any, why string) {
	if found := p.stored; found.name == name && found.namespace == namespace {
		return found.fields, found.why
	}
	fields, err := p.cluster.Task(ctx, namespace, name)
	p.stored = taskFound{namespace, name, fields, usable(fields, err, "Task", name, namespace)}
	return p.stored.fields, p.stored.why
}

// usable says why an object that was looked up is not to be used, or "".
func usable(fields map[string]any, err error, kind, name, namespace string) string {
	if err != nil {
		return fmt.Sprintf("looking up %s %q failed: %q", kind, name, err)
	}
	if fields == nil {
		return fmt.Sprintf("there is no %s %q in namespace %q yet", kind, name, namespace)
	}
	var r object.Reader
	notes := r.Fields(r.Fields(fields, "metadata"), "annotations")
	switch spec := r.Fields(fields, "spec"); {
	case r.Odd || spec == nil:
		return fmt.Sprintf("%s %q is not of the shape that Tekton takes", kind, name)
	case notes[wellknown.MutateKey] == wellknown.Disabled:
		return fmt.Sprintf("%s %q has the annotation %s: %s", kind, name, wellknown.MutateKey, wellknown.Disabled)
	}
	return ""
}

// overlay takes the Namespace's own settings.
func (p *pass) overlay(ctx context.Context, m *Mutator) {
	namespace, err := p.cluster.Namespace(ctx, p.space)
	if err != nil || namespace == nil {
		return // unknown: the cluster's settings hold
	}
	if namespace.Labels[wellknown.MutateKey] == wellknown.Disabled {
		p.why = fmt.Sprintf("Namespace %q has the label %s=%s", p.space, wellknown.MutateKey, wellknown.Disabled)
		return
	}
	text := namespace.Annotations[wellknown.MutatorKey]
	if text == "" && namespace.Unused == "" {
		return
	}
	own, err := p.ownSettings(m, namespace.Unused, text)
	if err != nil {
		p.out.Warnings = append(p.out.Warnings, fmt.Sprintf(
			"the annotation %s of Namespace %q is not used, so the cluster's configuration holds: %s",
			wellknown.MutatorKey, p.space, strings.ReplaceAll(err.Error(), "\n", "; ")))
		return
	}
	p.settings = own
}

// ownSettings returns those of the Namespace, or why they are not used.
func (p *pass) ownSettings(m *Mutator, unused, text string) (*settings, error) {
	switch {
	case m.settings.Overlays.Disabled:
		return nil, errors.New(overlaysOff)
	case unused != "":
		return nil, errors.New(unused)
	}
	return m.overlays.get(m.settings, text)
}

// optOut reads whether the object's author wants none of the rules. That of an object which
// a resolver has fetched is not asked: nobody here has written it.
func (p *pass) optOut() {
	if p.notes[wellknown.MutateKey] == wellknown.Disabled && !p.resolved {
		p.why = fmt.Sprintf("it has the annotation %s: %s", wellknown.MutateKey, wellknown.Disabled)
	}
}

// optOutOfRules reads which of the rules the object's author does not want.
func (p *pass) optOutOfRules() {
	if p.why != "" {
		return
	}
	if !p.resolved && p.notes[wellknown.SignatureKey] != nil && slices.Contains(stored, p.kind) {
		p.why, p.kept = "it is signed, and a change would break the signature", false
		return
	}
	if p.resolved {
		return
	}
	for _, id := range skipped(p.notes) {
		p.skipped = append(p.skipped, id)
		if !slices.Contains(p.mutator.ruleIDs(), id) {
			p.out.Warnings = append(p.out.Warnings, p.mutator.unknownRule(id))
		}
	}
}

// skipped returns the ids that wellknown.SkipRulesKey lists.
func skipped(notes map[string]any) []string {
	list, _ := notes[wellknown.SkipRulesKey].(string)
	return between(list)
}

func skips(notes map[string]any, id string) bool { return slices.Contains(skipped(notes), id) }

func (m *Mutator) ruleIDs() []string {
	ids := make([]string, 0, len(m.rules))
	for _, rule := range m.rules {
		ids = append(ids, rule.ID)
	}
	return ids
}

func (m *Mutator) unknownRule(id string) string {
	remedy := suggest.DidYouMean(id, m.ruleIDs(), "there are "+strings.Join(m.ruleIDs(), ", "))
	return fmt.Sprintf("the annotation %s names the rule %q, which does not exist: %s",
		wellknown.SkipRulesKey, id, remedy)
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
		p.not("", "the annotation "+wellknown.SkipRulesKey+" names the rule")
	case !scope.on:
		p.not("", "the rule is switched off")
	default:
		if why := scope.excludes(p.space, labelled(p.labels)); why != "" {
			p.not("", why)
			return
		}
		rule.apply(ctx, p)
	}
}

// did records a change.
func (p *pass) did(where, what string) {
	p.out.Decisions = append(p.out.Decisions, Decision{Rule: p.rule.ID, Where: where, Did: what})
}

// not records why nothing was changed. Callers whose words cost something ask
// p.explain first.
func (p *pass) not(where, why string) {
	if p.explain {
		p.out.Decisions = append(p.out.Decisions, Decision{Rule: p.rule.ID, Where: where, Why: why})
	}
}

// notStep is not for a step.
func (p *pass) notStep(v *view, why string) {
	if p.explain {
		p.not(v.place(), why)
	}
}

// mostWarnings bounds what is kept for one object.
const mostWarnings = 30

// warn tells the user something that is no refusal.
func (p *pass) warn(format string, args ...any) {
	if len(p.out.Warnings) >= mostWarnings {
		p.out.MoreWarnings++
		return
	}
	p.out.Warnings = append(p.out.Warnings, fmt.Sprintf(format, args...)+" (rule "+p.rule.ID+")")
}

func (p *pass) changed() bool {
	return slices.ContainsFunc(p.out.Decisions, func(d Decision) bool { return d.Did != "" })
}

// stepViews are the steps of a task as rules see them.
type stepViews struct {
	task string  // its path
	all  []*view // odd ones, too
	even []*view // without these
	ok   bool    // whether the list of steps is of the shape that Tekton takes
}

// views returns the steps of a task, none of one that is not of the shape that
// Tekton takes. Four rules ask for the same.
func (p *pass) views(task object.Task) []*view {
	p.rename()
	i := slices.IndexFunc(p.seen, func(seen *stepViews) bool { return seen.task == task.Path })
	if i < 0 {
		i = len(p.seen)
		p.seen = append(p.seen, p.readAll(task))
	}
	seen := p.seen[i]
	if !seen.ok {
		p.not(task.Path, "its steps are not of the shape that Tekton takes")
		return nil
	}
	if len(seen.even) < len(seen.all) {
		for _, v := range seen.all {
			if v.odd {
				p.notStep(v, "it is not of the shape that Tekton takes")
			}
		}
	}
	return seen.even
}

func (p *pass) readAll(task object.Task) *stepViews {
	steps, ok := task.Steps()
	seen := &stepViews{task: task.Path, ok: ok, all: make([]*view, 0, len(steps))}
	views := p.take(len(steps))
	even := true
	for i, step := range steps {
		p.read(&views[i], task, step)
		seen.all = append(seen.all, &views[i])
		even = even && !views[i].odd
	}
	seen.even = seen.all
	if !even {
		seen.even = slices.DeleteFunc(slices.Clone(seen.all), func(v *view) bool { return v.odd })
	}
	return seen
}

// take returns so many views, which are zero.
func (p *pass) take(n int) []view {
	used := len(p.room)
	if used+n > cap(p.room) {
		return make([]view, n)
	}
	p.room = p.room[:used+n]
	return p.room[used:]
}

// reread makes the rules that follow read every step once more. Who edits a step in
// a way that its view does not follow has to call it.
func (p *pass) reread() { p.seen = nil }

// rename makes all views know their images by what originals says now. Who adds to
// those has to set renamed: a rule goes on with what it knew.
func (p *pass) rename() {
	if !p.renamed {
		return
	}
	p.renamed = false
	for _, seen := range p.seen {
		for _, v := range seen.all {
			v.known = p.author(v.filled)
		}
	}
}
