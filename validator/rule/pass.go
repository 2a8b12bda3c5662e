package rule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
)

// Pass is an object that rules judge one after the other: what a rule knows of it, and
// how the rule reports. Rules must not change the exported fields.
type Pass struct {
	Object    map[string]any // decoded JSON, numbers as json.Number
	Raw       []byte         // the same as JSON, or nil
	Kind      schema.GroupVersionKind
	Namespace string // "" for a cluster-scoped object, or if it is unknown
	Cluster   Cluster
	Registry  Registry         // for rules that are Online
	Files     Files            // what is judged together with the object; nil outside of files
	Offline   bool             // whether nothing else judges the object: Tekton's own webhook does not see it
	Now       func() time.Time // the clock
	Author    Author           // who asks for the object to be admitted
	Inlined   bool             // whether the object is written into a run before that is created
	Account   string           // what the admission webhook gives to runs that name none, or ""
	Policies  []any            // pointers to the groups' policies, see PolicyOf
	Outside   Outside          // what messages must not name
	// Releases are those of Tekton that are installed and newer than what the rules know, by API group.
	Releases map[string]*Newer
	// Resolved has what remote references of the object lead to, by the paths of the references in the
	// object that is judged, such as spec.taskRef. Nil means that none was resolved.
	Resolved map[string]Resolved
	Failure  func(id string) // if not nil, is told of rules that failed, see Failed

	// Template is the TriggerTemplate that is to create this object, nil for an
	// object of its own. For a template within a trigger it has only the spec. The
	// object's texts may hold $(tt.params.…) then.
	Template map[string]any

	at      string         // prefix of each path: "" or "spec.resourcetemplates[0]."
	walked  map[string]any // results of walks over the object, see once
	rule    *Rule          // the one that judges now
	mode    Mode           // what becomes of its findings
	found   []*Finding
	unknown []string
	work    *work // shared with the passes of objects within this one
}

// Resolved is what a remote reference leads to.
type Resolved struct {
	Fields map[string]any // the object
	Source string         // where it comes from, in a few words
}

// ResolvedAt returns what the reference at a path of this object leads to, if it was resolved.
func (p *Pass) ResolvedAt(path string) (Resolved, bool) {
	found, ok := p.Resolved[p.at+path]
	return found, ok
}

// Outside reports whether messages must not name what was looked up in a namespace, or in the
// cluster where that is "". Nil means that they may name everything.
type Outside func(namespace string) bool

// Of is Outside, also where it is nil.
func (o Outside) Of(namespace string) bool { return o != nil && o(namespace) }

// Similar returns the names of existing objects, for a suggestion alone: none where messages
// must not name them.
func (p *Pass) Similar(ctx context.Context, kind schema.GroupKind, namespace string) []string {
	if p.Outside.Of(namespace) {
		return nil
	}
	names, _ := p.Cluster.Names(ctx, kind, namespace)
	return names
}

// Renamed is Files.Renamed, "" outside of files.
func (p *Pass) Renamed(kind schema.GroupKind, namespace, name string) string {
	if p.Files == nil {
		return ""
	}
	return p.Files.Renamed(kind, namespace, name)
}

// DidYouMean asks whether the name is meant that Renamed has returned, and says why it may be another.
func (p *Pass) DidYouMean(renamed string) string {
	if !p.Files.MayBeKustomized() {
		return fmt.Sprintf("did you mean %q?", renamed)
	}
	return fmt.Sprintf("did you mean %q? %s", renamed, notFollowed)
}

// Author says who wants an object to be as it is.
type Author int

// The authors.
const (
	Unknown    Author = iota // nobody can tell: it stands in a file, or is there already
	Somebody                 // a user, or a controller that is not Tekton's
	Controller               // Tekton's controller
)

// OfPipelineRun tells whether Tekton's controller has made a run for a PipelineRun. An
// ownerReference says so too, and whoever may create runs may write one: it counts only
// where nobody can tell who has.
func (p *Pass) OfPipelineRun() bool {
	switch p.Author {
	case Somebody:
		return false
	case Controller:
		return true
	}
	var r object.Reader
	owners := r.FieldsList(r.Fields(p.Object, "metadata"), "ownerReferences")
	return slices.ContainsFunc(owners, func(owner map[string]any) bool {
		group, _, _ := strings.Cut(r.Text(owner, "apiVersion"), "/")
		return r.Text(owner, "kind") == "PipelineRun" && group == TektonGroup
	})
}

// Judge lets one rule judge the object. It returns the findings, and one line for each
// thing that the rule could not find out. The error is ErrBudget if ctx ended before the
// rule did; then the findings are not all that there are.
func (p *Pass) Judge(ctx context.Context, r *Rule, mode Mode) (found []*Finding, unknown []string, err error) {
	if p.walked == nil {
		p.walked = map[string]any{}
	}
	if p.work == nil {
		p.work = &work{steps: Look}
	}
	p.work.ctx = ctx
	p.rule, p.mode, p.found, p.unknown = r, mode, nil, nil
	if ctx.Err() != nil {
		return nil, nil, ErrBudget
	}
	func() {
		defer recoverBudget(&err)
		r.Check(ctx, p)
	}()
	return p.found, p.unknown, err
}

// PathsOf returns the paths of what another rule finds in the object.
func (p *Pass) PathsOf(ctx context.Context, other *Rule) []string {
	scratch := *p
	scratch.rule, scratch.found, scratch.unknown = other, nil, nil
	other.Check(ctx, &scratch)
	paths := make([]string, 0, len(scratch.found))
	for _, finding := range scratch.found {
		paths = append(paths, strings.TrimPrefix(finding.Path, p.at))
	}
	return paths
}

// At returns the pass of an object that stands at a path within this one's object.
// The caller sets the fields that describe the object.
func (p *Pass) At(path string) *Pass {
	inner := *p
	inner.at, inner.walked, inner.Raw = path+".", nil, nil
	return &inner
}

// Absolute returns the path in the object that is judged of a path in this pass's object.
func (p *Pass) Absolute(path string) string { return p.at + path }

// With returns the pass of another object in place of this one's. Both share their work.
func (p *Pass) With(object map[string]any) *Pass {
	other := *p
	other.Object, other.walked, other.Raw = object, nil, nil
	return &other
}

// Report adds a finding. The message is one line without the rule's id and without
// a period at its end: what is wrong, why it matters, how to mend it. Less than 240
// bytes are best, since the API server may cut what is longer.
func (p *Pass) Report(path, format string, args ...any) *Finding {
	finding := &Finding{
		Rule: p.rule.ID, Severity: p.rule.Severity, Mode: p.mode, Others: p.rule.Others,
		Path: p.at + path, Message: oneLine(fmt.Sprintf(format, args...)),
	}
	p.found = append(p.found, finding)
	p.Step(1)
	return finding
}

// Unknown adds what could not be found out. ErrUnknown is not reported, since nobody
// can do anything about it.
func (p *Pass) Unknown(path, what string, err error) {
	if !errors.Is(err, ErrUnknown) {
		p.unknown = append(p.unknown, oneLine(fmt.Sprintf("%s was not checked: %s failed: %v", p.at+path, what, err)))
	}
}

// Failed reports that the rule itself failed for this object, so that it found nothing. In files
// that is a finding, since the author of the rule is to read it. Elsewhere the object passes.
func (p *Pass) Failed(path, message string) {
	if p.Offline {
		finding := p.Report(path, "%s", message)
		finding.Severity, finding.Mode = Warning, Warn
		return
	}
	p.unknown = append(p.unknown, oneLine(p.at+path+": "+message))
	if p.Failure != nil {
		p.Failure(p.rule.ID)
	}
}

// CannotBeJudged is the id of findings that say what a rule could not judge.
const CannotBeJudged = "cannot-be-judged"

// Cannot reports that the rule cannot judge a text, since an expression in it has no value
// here. The objects of a TriggerTemplate are judged when they are created.
func (p *Pass) Cannot(path, text string) {
	found := expression.Find(text)
	if len(found) == 0 || p.Template != nil {
		return
	}
	finding := p.Report(path,
		"the rule %s cannot judge this, since %s has no value here: write the value out, give it where the object is created, or set validator.rules.%s.unknown to ignore",
		p.rule.ID, found[0].Text, p.rule.ID)
	finding.Rule, finding.Severity, finding.Others = CannotBeJudged, Warning, false
}

// oneLine joins the lines of a text, since an admission warning of two lines never
// reaches its user.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Mend adds edits that certainly mend the finding: they can be applied without review.
func (p *Pass) Mend(finding *Finding, edits ...Edit) {
	for _, edit := range edits {
		edit.Path = p.at + edit.Path
		finding.Fix = append(finding.Fix, edit)
	}
}

// PolicyOf returns the policy of type T: the lists and limits that a group of rules
// holds objects to. It is empty where nothing is configured.
func PolicyOf[T any](p *Pass) *T {
	for _, policy := range p.Policies {
		if own, is := policy.(*T); is {
			return own
		}
	}
	return new(T)
}

// Once returns the result of a walk over the object of a pass. Many rules need the same
// result, so it is kept until the object has been judged, and must not be changed.
func Once[T any](p *Pass, name string, walk func() []T) []T {
	if p.walked == nil { // a pass that a rule made for itself
		return walk()
	}
	if known, ok := p.walked[name].([]T); ok {
		return known
	}
	found := slices.Clip(walk())
	p.Step(1 + len(found))
	p.walked[name] = found
	return found
}
