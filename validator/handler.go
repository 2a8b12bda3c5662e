package validator

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/warnings"
	"github.com/tekgate/tekgate/validator/rule"
)

var _ admission.Handler = &Validator{}

// Handle answers one admission request. It judges creations, and updates that
// change the spec, and lets everything else pass.
func (v *Validator) Handle(ctx context.Context, req admission.Request) admission.Response {
	kind := schema.GroupVersionKind(req.Kind)
	judged := Matches(kind) || kind == podKind && v.Config.Pods && req.Operation == admissionv1.Create
	if req.SubResource != "" || !judged ||
		(req.Operation != admissionv1.Create && req.Operation != admissionv1.Update) {
		return admission.Allowed("")
	}
	fields, err := object.Decode(req.Object.Raw)
	if err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("decoding %s: %w", kind.Kind, err))
	}
	old, err := object.Decode(req.OldObject.Raw)
	if err != nil {
		old = nil // there is nothing to compare with, and the new one is judged
	}
	if req.Operation == admissionv1.Update && sameSpec(fields, old) {
		return admission.Allowed("")
	}
	ctx, cancel := budgetOf(ctx)
	defer cancel()
	subject := Subject{Kind: kind, Namespace: req.Namespace, Fields: fields, Request: v.requestOf(ctx, req)}
	out := v.Judge(ctx, subject)
	if req.Operation == admissionv1.Update && old != nil && len(out.In(rule.Enforce)) > 0 {
		out.forgive(v.Judge(ctx, Subject{Kind: kind, Namespace: req.Namespace, Fields: old, Request: subject.Request}))
	}
	v.tell(subject, out, req.DryRun != nil && *req.DryRun)
	return v.answerTo(kind.Kind, out, subject.Request)
}

// budgetOf returns a context that leaves a fifth of the caller's patience for the answer.
// An answer that comes later is none: with failurePolicy Ignore the object would pass, so
// who writes objects that take long could have any.
func budgetOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(end)*4/5)
}

// requestOf says who asks. Tekton's controller dry-runs what a resolver has fetched before
// it uses it (pkg/reconciler/apiserver/apiserver.go of v1.15.0).
func (v *Validator) requestOf(ctx context.Context, req admission.Request) *Request {
	byController := v.Controller != "" && req.UserInfo.Username == v.Controller
	dryRun := req.DryRun != nil && *req.DryRun
	isPod := schema.GroupVersionKind(req.Kind) == podKind
	ofRun := byController && !dryRun && req.Operation == admissionv1.Create && req.Kind.Kind == "TaskRun"
	return &Request{
		User: req.UserInfo, Resolved: byController && dryRun && !isPod, AtUse: isPod || ofRun,
		Unverified: v.Verified != nil && !v.Verified(ctx),
	}
}

// sameSpec also compares the exceptions, since they decide what the spec may be.
func sameSpec(fields, old map[string]any) bool {
	return old != nil && reflect.DeepEqual(old["spec"], fields["spec"]) &&
		reflect.DeepEqual(exceptionsOf(old), exceptionsOf(fields))
}

// forgive turns what would refuse an update into warnings, where it was there
// before the update.
func (o *Outcome) forgive(before Outcome) {
	had := map[string]int{}
	for _, f := range before.Findings {
		had[f.Rule+"\n"+f.Message]++
	}
	for i := range o.Findings {
		f := &o.Findings[i]
		if key := f.Rule + "\n" + f.Message; f.Mode == rule.Enforce && had[key] > 0 {
			had[key]--
			f.Mode = rule.Warn
		}
	}
}

// tell hands on what is of use to others than the sender of a request.
func (v *Validator) tell(subject Subject, out Outcome, dryRun bool) {
	if v.Observe != nil {
		for _, finding := range out.Findings {
			v.Observe(subject.Kind.Kind, finding)
		}
	}
	if v.Later == nil || dryRun || len(out.In(rule.Enforce))+len(out.unjudged(rule.Enforce)) > 0 {
		return
	}
	var later []rule.Finding
	// A run that has ended is looked at by nobody, and its namesakes come by the
	// thousand: what is but recorded of it the audit log and the metrics keep.
	ofRun := slices.Contains(rule.Runs, subject.Kind) || subject.Kind == podKind
	for _, finding := range out.Findings {
		if finding.Mode == rule.Audit && !ofRun || finding.Others {
			later = append(later, finding)
		}
	}
	if len(later) > 0 {
		v.Later(subject, later)
	}
}

// Busy answers a request that the server has no time or memory to judge, as Handle answers
// one that none of its rules could judge in time: a rule that enforces refuses it.
func (v *Validator) Busy(ctx context.Context, req admission.Request) admission.Response {
	kind := schema.GroupVersionKind(req.Kind)
	j := &judgement{validator: v, namespace: req.Namespace, request: v.requestOf(ctx, req)}
	for _, r := range v.rules() {
		if mode := j.mode(r); mode != rule.Off && r.Handles(kind) && v.asks(r) && (!j.isAtUse() || r.AtUse) {
			j.out.Unjudged = append(j.out.Unjudged, Unjudged{r.ID, mode})
		}
	}
	if len(j.out.Unjudged) == 0 {
		return admission.Allowed("")
	}
	return v.answerTo(kind.Kind, j.out, j.request)
}

// Refusal says why an object that a resolver has fetched, and that Tekton's controller
// creates in a dry run, would be refused; "" if it would not be.
func (v *Validator) Refusal(ctx context.Context, kind schema.GroupVersionKind, namespace string,
	fields map[string]any) string {
	request := &Request{Resolved: true}
	request.User.Username = v.Controller
	j := &judgement{validator: v, namespace: namespace, request: request}
	enforces := func(r *rule.Rule) bool { return r.Handles(kind) && v.asks(r) && j.mode(r) == rule.Enforce }
	if !slices.ContainsFunc(v.rules(), enforces) {
		return ""
	}
	out := v.Judge(ctx, Subject{Kind: kind, Namespace: namespace, Fields: fields, Request: request})
	if denied := out.In(rule.Enforce); len(denied) > 0 {
		return denied[0].String()
	}
	if ids := out.unjudged(rule.Enforce); len(ids) > 0 {
		return left(ids)
	}
	return ""
}

// unjudged returns the ids of the rules of a mode that could not judge, of all for "".
func (o Outcome) unjudged(mode rule.Mode) []string {
	var ids []string
	for _, u := range o.Unjudged {
		if mode == "" || u.Mode == mode {
			ids = append(ids, u.Rule)
		}
	}
	return ids
}

// left says which rules had no time, and what to do about it.
func left(ids []string) string {
	names := "rule " + ids[0]
	if len(ids) > 1 {
		names = fmt.Sprintf("rule %s and %d more", ids[0], len(ids)-1)
	}
	return names + " could not judge it in the time that the API server waits: make it smaller, such as by " +
		"moving long lists of params or steps into a file of a workspace, or try again later"
}

// auditKey is the key of the audit annotation that lists findings which did not
// refuse the object; the API server puts the webhook's name before it.
const auditKey = "findings"

// exceptedKey is that of findings which an exception kept from having any effect.
const exceptedKey = "excepted"

// unjudgedKey is that of rules that had no time to judge the object.
const unjudgedKey = "unjudged"

func (v *Validator) answerTo(kind string, out Outcome, request *Request) admission.Response {
	res := admission.Allowed("")
	var told []string
	unjudged := out.unjudged(rule.Enforce)
	if denied := out.In(rule.Enforce); len(denied)+len(unjudged) > 0 {
		res = admission.Denied(denial(kind, denied, unjudged))
		if len(denied) > 0 && v.authorOf(request) == rule.Controller {
			// Tekton's controller fails a run for good that gets this code, with the message in
			// its status, and repeats what gets any other until the run times out
			// (handleRunCreationError and handleDryRunCreateErr of v1.15.0). A Pod fails its run
			// with any code, but waits for room if the text of a 403 has "exceeded quota"
			// (handlePodCreationError).
			res.Result.Code, res.Result.Reason = http.StatusBadRequest, metav1.StatusReasonBadRequest
		}
	}
	res.AuditAnnotations = map[string]string{}
	if all := out.unjudged(""); len(all) > 0 {
		res.AuditAnnotations[unjudgedKey] = strings.Join(all, "; ")
		if len(unjudged) == 0 {
			told = append(told, fmt.Sprintf("this %s passed unchecked, since %s", kind, left(all)))
		}
	}
	if !request.AtUse { // a controller reads no warnings
		told = append(told, sentences(out.In(rule.Warn))...)
	}
	var noted, excepted []string
	for _, finding := range out.Findings {
		if finding.Mode != rule.Enforce {
			noted = append(noted, finding.Rule+" at "+finding.Path)
		}
	}
	for _, e := range out.Excepted {
		excepted = append(excepted,
			fmt.Sprintf("%s at %s until %s", e.Rule, e.Path, e.Exception.Until.Format("2006-01-02")))
	}
	for key, list := range map[string][]string{auditKey: noted, exceptedKey: excepted} {
		if len(list) > 0 {
			res.AuditAnnotations[key] = strings.Join(list, "; ")
		}
	}
	return res.WithWarnings(warnings.Fit(append(told, out.Unknown...), warnings.Validating, 0, moreWarnings)...)
}

// moreWarnings is the last warning of an answer that has no room for all.
func moreWarnings(n int) string {
	return fmt.Sprintf("there are %d more warnings: see `tekgate lint FILE`", n)
}

// sentences returns findings as warnings: the worst first, and those of one rule that do not fit as one.
func sentences(findings []rule.Finding) []string {
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, func(a, b rule.Finding) int { return a.Severity.Compare(b.Severity) })
	all := make([]string, len(findings))
	size := 0
	for i, f := range findings {
		all[i] = f.String()
		size += utf8.RuneCountInString(all[i])
	}
	if size <= warnings.Validating {
		return all
	}
	var ids []string
	byRule := map[string][]rule.Finding{}
	for _, f := range findings {
		if byRule[f.Rule] == nil {
			ids = append(ids, f.Rule)
		}
		byRule[f.Rule] = append(byRule[f.Rule], f)
	}
	all = all[:0]
	for _, id := range ids {
		all = append(all, together(byRule[id]))
	}
	return all
}

// mostPlaces bounds the places that a warning about many findings names.
const mostPlaces = 5

// together is one sentence about the findings of a rule.
func together(findings []rule.Finding) string {
	text := findings[0].String()
	others := findings[1:]
	if len(others) == 0 {
		return text
	}
	var places []string
	for _, f := range others[:min(len(others), mostPlaces)] {
		places = append(places, f.Path)
	}
	if hidden := len(others) - len(places); hidden > 0 {
		places = append(places, fmt.Sprintf("and %d more places", hidden))
	}
	return fmt.Sprintf("%s; the same rule has %d more findings, at %s", text, len(others), strings.Join(places, ", "))
}
