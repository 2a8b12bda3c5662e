package mutator

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// compileLocalTasks checks the section localTasks.
func (s *settings) compileLocalTasks() error {
	c := checker{section: "localTasks"}
	s.scopes.local = compileScope(s.LocalTasks.Scope, true, false, c.problem)
	modes := []string{string(TasksResolved), string(TasksStored), string(TasksInPods)}
	if mode := string(s.LocalTasks.Mode); mode != "" && !slices.Contains(modes, mode) {
		c.problem("mode: %q is not a mode: %s", mode,
			suggest.DidYouMean(mode, modes, "write "+strings.Join(modes[:2], ", ")+" or "+modes[2]))
	}
	return c.err()
}

// notKept returns why an object of a namespace is not stored as the rules leave it, or "".
func (s *settings) notKept(namespace string, set labels.Labels) string {
	if s.LocalTasks.Mode != TasksStored {
		return "what is stored stays as its author wrote it, unless mutator.localTasks.mode is stored"
	}
	if !s.scopes.local.on {
		return "mutator.localTasks is switched off"
	}
	if why := s.scopes.local.excludes(namespace, set); why != "" {
		return "mutator.localTasks does not select it: " + why
	}
	return ""
}

// store answers a Task, Pipeline or StepAction that is created or updated, by anybody and also
// by a dry run, so that a client sees in advance what will be stored.
//
// An update is answered from what its sender wrote, like a creation. An image that is on the
// mirror already stays, and the record still has its original, because the annotation is a
// part of what was sent.
func (m *Mutator) store(ctx context.Context, kind schema.GroupVersionKind, req admission.Request) admission.Response {
	if req.Operation != admissionv1.Create && req.Operation != admissionv1.Update || !m.mayKeep(ctx, req.Namespace) {
		return admission.Allowed("")
	}
	return m.answer(ctx, Request{
		Kind: kind, Namespace: req.Namespace, Raw: req.Object.Raw, authored: true,
		storing: true, old: req.OldObject.Raw,
	})
}

// mayKeep reports whether an object of a namespace may be one that is kept, so that others need
// not be decoded: an API server without match conditions asks about all.
func (m *Mutator) mayKeep(ctx context.Context, namespace string) bool {
	if m.settings.LocalTasks.Mode == TasksStored {
		return true
	}
	found, err := m.cluster.Namespace(ctx, namespace)
	return err == nil && found != nil && found.Annotations[wellknown.MutatorKey] != ""
}

// keep decides whether the object is stored as the rules leave it. Where it is about to be
// stored and is not kept, no rule is applied.
func (p *pass) keep(req Request) {
	if p.resolved || !slices.Contains(stored, p.kind) {
		return
	}
	why := p.settings.notKept(p.space, labelled(p.labels))
	p.kept = why == "" && p.why == ""
	if req.storing && p.why == "" {
		p.why = why
	}
}

// prune makes the record right for an object that is kept: images that it no longer has are
// removed from the originals. It reports whether any were.
func (p *pass) prune() bool {
	if !p.kept || p.originals.Empty() { // as nearly always
		return false
	}
	has := map[string]bool{} // all texts, since an image can be a field or a parameter
	spec, _ := p.object["spec"].(map[string]any)
	object.Strings(spec, func(_, text string) { has[text] = true })
	return p.originals.Keep(func(image string) bool { return has[image] })
}

// withdraw removes the record from an object that no rule is applied to any more, such as one
// that is signed now, and reports whether it did. A client that applies a manifest leaves the
// annotations that it does not know, and Tekton's signatures cover all annotations.
//
// The record stays where the spec is the one that was stored: it explains that.
func (p *pass) withdraw(req Request) bool {
	if !req.storing || p.why == "" || !recorded(p.notes) {
		return false
	}
	old, err := object.DecodeAuthored(req.old, nil)
	if err != nil || reflect.DeepEqual(old["spec"], p.object["spec"]) || !p.sameRecord(old) {
		return false
	}
	delete(p.notes, wellknown.MutatedKey)
	delete(p.notes, wellknown.OriginalImagesKey)
	return true
}

func recorded(notes map[string]any) bool {
	return notes[wellknown.MutatedKey] != nil || notes[wellknown.OriginalImagesKey] != nil
}

// sameRecord reports whether the record is the one of the stored object. An author who signs
// an object together with another record wants that one.
func (p *pass) sameRecord(old map[string]any) bool {
	var r object.Reader
	before := r.Fields(r.Fields(old, "metadata"), "annotations")
	for _, key := range []string{wellknown.MutatedKey, wellknown.OriginalImagesKey} {
		if fmt.Sprint(before[key]) != fmt.Sprint(p.notes[key]) {
			return false
		}
	}
	return true
}
