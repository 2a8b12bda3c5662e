// Package validator judges objects by a set of rules.
//
// It finds what Tekton accepts and then fails at in silence, what would run what a
// stranger has sent, and what the house forbids. Rules report all that they find
// at once, each finding with its place in the object, the reason and a way to mend
// it. The admission server, `tekgate lint` and `tekgate audit` run the very same
// rules; they differ in what they know of the rest of the world, see Cluster.
//
// Nothing is ever refused for what could not be found out: a look-up that fails is
// told of, and what cannot be known (a Secret's keys in the admission server, which
// reads no Secret) is passed over.
//
// Order does not matter. Whoever applies a folder, a GitOps controller above all,
// may bring an EventListener before its TriggerBinding, and controllers that dry-run
// the whole first would never get to create the binding if the listener were
// refused. So rules about other objects, see Rule.Others, warn where nothing else is
// configured; the object passes, and the admission server looks again once the grace
// of Config.References is over: if the reference still leads nowhere, an Event on the
// object says so. Who wants the refusal configures enforce.
//
// An update is never refused for what was wrong before it: what the old object has
// been found to be, the new one may be too, with a warning. So a stricter rule, or an
// object that has gone in the meantime, keeps nobody from mending something else.
// Updates that leave the spec as it is are not judged at all, so a finalizer can always be
// removed. Those of an object that is being deleted are judged like all others: a finalizer
// of its author keeps it, and what refers to it, in use for as long as that likes.
//
// Whether a finding refuses, warns or is but recorded the configuration says, per
// rule and namespace; an object is excepted from a rule by an annotation that gives a
// date and a reason, see Exception.
package validator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
)

// Validator judges by rules as Config wants them.
type Validator struct {
	Config  Config
	Cluster rule.Cluster
	// Rules are those that are asked. Nil means all that there are but those of Config.Custom, see
	// Config.AllRules.
	Rules []*rule.Rule
	// Offline says that nobody else will judge the objects, as Tekton's own webhook
	// does after the admission server: then rules do its work as well.
	Offline bool
	// Registry answers the rules that are Online. Nil means that they are not
	// asked.
	Registry rule.Registry
	// Files are the objects that are judged together, for rules that are Files. Nil means that these
	// are not asked.
	Files rule.Files
	// Tekton returns the release of Tekton Pipelines that is installed, "" where that is
	// not known, see Rule.Since and Rule.Before. Nil is for objects that are judged by what they are to be
	// for: files, and what an upgrade will meet.
	Tekton func() string
	// Releases are those of Tekton that are installed and newer than what the rules know, by API group.
	// The admission server, which reads no CustomResourceDefinition, has none: there Tekton counts.
	Releases map[string]*rule.Newer
	// Controller is the user name of Tekton's controller: what it creates belongs to a run,
	// and what it dry-runs a resolver has fetched.
	Controller string
	// Account is the ServiceAccount that the admission webhook gives to runs that name none; ""
	// where it gives none, or not to all of them.
	Account string
	// Authorize tells whether the user of a request may do something, for exceptions that
	// only some may make, see Exceptions. Nil means that nobody may.
	Authorize func(ctx context.Context, user authenticationv1.UserInfo, access rule.Access) (bool, error)
	// Verified reports whether a request is known to come from an API server. Anyone else who
	// reaches the admission server could make up requests, to learn from the messages what
	// exists. Nil means that every request does.
	Verified func(ctx context.Context) bool
	// Now is the clock, for the dates of exceptions. Nil means time.Now.
	Now func() time.Time
	// Fetched, if not nil, returns a Task as it will run once a resolver has fetched it, since
	// the API server changes what is fetched. It does not change the Task that it is given.
	Fetched func(ctx context.Context, namespace string, task map[string]any) map[string]any
	// Observe is told of each finding that a request led to, if it is not nil.
	Observe func(kind string, finding rule.Finding)
	// Failure is told of each rule of Config.Custom that could not be evaluated for the object of a
	// request, if it is not nil.
	Failure func(id string)
	// Later is given each object with a finding that time may mend, see
	// Rule.Others, and with each finding of a rule whose mode is Audit. It is not
	// called in dry runs, nor for what runs are found to be in mode Audit.
	Later func(subject Subject, findings []rule.Finding)
}

// Subject is an object that is to be judged.
type Subject struct {
	Kind      schema.GroupVersionKind
	Namespace string         // "" for a cluster's, or where it is not known
	Fields    map[string]any // decoded JSON, numbers as json.Number; it is not changed
	Packed    *Packed        // has the fields where Fields is nil; may be nil too
	File      string         // where it stands, with slashes; "" where that is not known, see Set.Near
	// Inlined says that the object is put into a run before it is created, as Pipelines-as-Code does it with
	// Tasks: what the run gives and binds is there, too.
	Inlined bool
	// Resolved is what remote references lead to, see rule.Pass.
	Resolved map[string]rule.Resolved
	// Request is what the API server asks about; nil for what stands in a file or is there
	// already.
	Request *Request
}

// Request is what a request for an object says beside it.
type Request struct {
	User authenticationv1.UserInfo
	// Resolved says that a resolver has fetched the object, and that its author may be
	// anybody.
	Resolved bool
	// Unverified says that it may come from anyone, see Validator.Verified.
	Unverified bool
	// AtUse says that Tekton's controller creates the object for a PipelineRun, which has
	// been judged, or that it is a Pod: only rules that are AtUse judge it.
	AtUse bool
}

func (s Subject) isPacked() bool { return s.Fields == nil && s.Packed != nil }

// Name returns the object's name, or its generateName.
func (s Subject) Name() string {
	if s.isPacked() {
		return s.Packed.name
	}
	return rule.NameOf(s.Fields)
}

// Object returns the object's fields, of Fields or of Packed.
func (s Subject) Object() map[string]any {
	if s.isPacked() {
		return s.Packed.Fields()
	}
	return s.Fields
}

// unpack returns the fields as they are written and as they are spelled.
func (s Subject) unpack() *unpacked {
	if s.isPacked() {
		return s.Packed.unpack()
	}
	return unpack(s.Kind, s.Fields)
}

// Outcome is the judgement of one object.
type Outcome struct {
	Findings []rule.Finding // by rule, in the order of the rules, then as they were found
	Excepted []Excepted     // what would be a finding but for an exception
	Unknown  []string       // what could not be found out, one line each
	// Unjudged are the rules that were not asked, or not to their end, since the context
	// ended before: what they would have found is not known.
	Unjudged []Unjudged
}

// Unjudged is a rule that could not judge an object, and what its findings would do.
type Unjudged struct {
	Rule string
	Mode rule.Mode
}

// In returns the findings of a mode.
func (o Outcome) In(mode rule.Mode) []rule.Finding {
	return slices.DeleteFunc(slices.Clone(o.Findings), func(f rule.Finding) bool { return f.Mode != mode })
}

// Judge judges one object by the rules for its kind, and the objects that a
// TriggerTemplate is to create by the rules for theirs. It ends soon after ctx does, see
// Outcome.Unjudged.
func (v *Validator) Judge(ctx context.Context, subject Subject) Outcome {
	lookUps, cancel := halfOf(ctx)
	defer cancel()
	outside := v.outside(subject)
	object := subject.unpack()
	subject.Fields = object.fields
	j := &judgement{validator: v, subject: subject, namespace: subject.Namespace, request: subject.Request,
		memory: remember(lookUps, v.Cluster, outside)}
	j.exceptions = exceptionsOf(subject.Fields)
	pass := &rule.Pass{
		Object: object.spelled, Raw: object.raw, Kind: subject.Kind, Namespace: subject.Namespace,
		Cluster: j.memory, Outside: outside, Registry: v.Registry, Files: v.Files, Offline: v.Offline,
		Now:      v.now,
		Author:   v.authorOf(subject.Request),
		Account:  v.Account,
		Failure:  v.Failure,
		Inlined:  subject.Inlined,
		Resolved: subject.Resolved,
		Releases: v.Releases,
		Policies: v.Config.Policy.all(),
	}
	if subject.Kind == podKind {
		j.judgePod(ctx, pass)
		return j.out
	}
	j.judge(ctx, pass)
	j.judgeTask(ctx, pass)
	j.judgeExceptions(ctx)
	if object.respelled {
		j.out.asWritten(subject.Fields)
	}
	return j.out
}

// asWritten gives paths the names that the author of an object has written, see admission.Spelled.
func (o *Outcome) asWritten(fields map[string]any) {
	write := func(f *rule.Finding) {
		f.Path = admission.AsWritten(fields, f.Path)
		for i := range f.Fix {
			f.Fix[i].Path = admission.AsWritten(fields, f.Fix[i].Path)
		}
	}
	for i := range o.Findings {
		write(&o.Findings[i])
	}
	for i := range o.Excepted {
		write(&o.Excepted[i].Finding)
	}
}

// outside returns what messages about an object must not name.
func (v *Validator) outside(subject Subject) rule.Outside {
	if subject.Request == nil || !subject.Request.Unverified {
		return nil
	}
	nothing := v.Config.UnverifiedCallers == LearnNothing
	return func(namespace string) bool { return nothing || namespace != subject.Namespace }
}

func (v *Validator) authorOf(request *Request) rule.Author {
	switch {
	case request == nil:
		return rule.Unknown
	case v.Controller != "" && request.User.Username == v.Controller:
		return rule.Controller
	}
	return rule.Somebody
}

// halfOf returns a context for half of the time that there is. An API server that
// answers slowly makes look-ups fail, which refuses nothing, and leaves time for the rules
// that need none.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// judgement is the work on one object.
type judgement struct {
	validator  *Validator
	subject    Subject
	namespace  string
	request    *Request
	memory     *memory
	exceptions map[string]Exception
	authorized map[string]bool // whether the user may except objects from a rule, by its id
	out        Outcome
}

func (j *judgement) judge(ctx context.Context, pass *rule.Pass) {
	for _, r := range j.validator.rules() {
		if !r.Handles(pass.Kind) || !j.validator.asks(r) || (j.isAtUse() && !r.AtUse) {
			continue
		}
		mode := j.mode(r)
		if mode == rule.Off {
			continue
		}
		found, unknown, err := pass.Judge(ctx, r, mode)
		if j.memory.revealed && r.Others && !r.Discreet {
			withhold(found)
		}
		j.take(ctx, r, j.judged(ctx, r, pass.Kind, found))
		j.note(Unjudged{r.ID, mode}, unknown, err)
	}
	for _, inner := range embedded(pass) {
		j.judge(ctx, inner)
	}
}

// withhold removes from messages what was looked up.
func withhold(found []*rule.Finding) {
	for _, finding := range found {
		finding.Message = "it does not fit an object of another namespace or of the cluster, about which the admission server says nothing to callers that it cannot verify: run `tekgate lint --live` with your own permissions to see why"
		finding.Fix = nil
	}
}

// mode is what becomes of the findings of a rule.
func (j *judgement) mode(r *rule.Rule) rule.Mode {
	tekton := ""
	if (r.Since != "" || r.Before != "") && j.validator.Tekton != nil {
		tekton = j.validator.Tekton()
	}
	return j.validator.Config.mode(r, j.namespace, tekton)
}

func (j *judgement) isAtUse() bool { return j.request != nil && j.request.AtUse }

// note keeps what a rule could not find out.
func (j *judgement) note(u Unjudged, unknown []string, err error) {
	for _, text := range unknown {
		j.out.Unknown = append(j.out.Unknown, text+" (rule "+u.Rule+")")
	}
	if err != nil {
		j.leave(u, err)
	}
}

// leave notes a rule that could not judge, once. Who sent a request is told of all such
// rules together.
func (j *judgement) leave(u Unjudged, err error) {
	if slices.Contains(j.out.Unjudged, u) {
		return
	}
	j.out.Unjudged = append(j.out.Unjudged, u)
	if j.request == nil {
		j.out.Unknown = append(j.out.Unknown, fmt.Sprintf("not everything was checked: %v (rule %s)", err, u.Rule))
	}
}

func (j *judgement) take(ctx context.Context, r *rule.Rule, found []*rule.Finding) {
	if len(found) == 0 {
		return
	}
	exception, excepted := j.exceptions[r.ID]
	excepted = excepted && j.validator.accepts(exception) && j.mayExcept(ctx, r)
	seen := make(map[[2]string]bool, len(found))
	for _, finding := range found {
		key := [2]string{finding.Path, finding.Message}
		switch {
		case seen[key]: // the API server tells it once, too
		case excepted:
			j.out.Excepted = append(j.out.Excepted, Excepted{*finding, exception})
		default:
			j.out.Findings = append(j.out.Findings, *finding)
		}
		seen[key] = true
	}
}

func (v *Validator) rules() []*rule.Rule {
	if v.Rules != nil {
		return v.Rules
	}
	return Rules
}

// asks reports whether there is what a rule needs beside the object.
func (v *Validator) asks(r *rule.Rule) bool {
	return (!r.Online || v.Registry != nil) && (!r.Files || v.Files != nil)
}

func (v *Validator) now() time.Time {
	if v.Now == nil {
		return time.Now()
	}
	return v.Now()
}

// denial is what the user of kubectl reads: all findings, one per line.
func denial(kind string, findings []rule.Finding, unjudged []string) string {
	var text strings.Builder
	if len(findings) == 0 {
		return fmt.Sprintf("this %s was refused, since %s", kind, left(unjudged))
	}
	fmt.Fprintf(&text, "this %s was refused:", kind)
	for _, finding := range findings {
		fmt.Fprintf(&text, "\n- %s", finding)
	}
	return text.String()
}
