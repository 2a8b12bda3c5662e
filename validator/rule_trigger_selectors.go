package validator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/internal/object"
)

// selector is how an EventListener, or a group of it, picks Triggers.
type selector struct {
	Path       string // "spec" or "spec.triggerGroups[0].triggerSelector"
	Namespaces []string
	Labels     map[string]any // nil for any
}

// selectorsIn returns those that pick anything: of an EventListener without a
// namespaceSelector and labelSelector there is none.
func selectorsIn(p *Pass) []selector {
	var r object.Reader
	if p.Kind.Kind != "EventListener" {
		return nil
	}
	spec := r.Fields(p.Object, "spec")
	found := []selector{selectorOf(spec, "spec")}
	for i, group := range r.FieldsList(spec, "triggerGroups") {
		found = append(found, selectorOf(r.Fields(group, "triggerSelector"), fmt.Sprintf("spec.triggerGroups[%d].triggerSelector", i)))
	}
	return slices.DeleteFunc(found, func(s selector) bool { return len(s.Namespaces) == 0 && s.Labels == nil })
}

func selectorOf(fields map[string]any, path string) selector {
	var r object.Reader
	return selector{path, r.TextList(r.Fields(fields, "namespaceSelector"), "matchNames"), r.Fields(fields, "labelSelector")}
}

var labelSelectorRule = &Rule{
	ID:       "label-selector",
	Severity: Error,
	Kinds:    eventListeners,
	Doc: `Finds label selectors of EventListeners and trigger groups that Kubernetes does not take:
unknown operators, operators with too few or too many values, keys and values that are
no labels.

Tekton accepts them, and for each event writes an error into the log of a Pod and picks
no Trigger (selectTriggers in pkg/sink/sink.go of Tekton Triggers v0.37.0).`,
	Check: checkLabelSelector,
}

func checkLabelSelector(_ context.Context, p *Pass) {
	for _, s := range selectorsIn(p) {
		var labels metav1.LabelSelector
		if s.Labels == nil || json.Unmarshal(asJSON(s.Labels), &labels) != nil {
			continue // Tekton says that it is of no such shape
		}
		if _, err := metav1.LabelSelectorAsSelector(&labels); err != nil {
			p.Report(s.Path+".labelSelector", "Kubernetes cannot read this selector, so it picks no Trigger and every event is dropped: %s", selectorProblem(err))
		}
	}
}

// selectorProblem is what is wrong with a selector, without the regular expression
// that Kubernetes adds.
func selectorProblem(err error) string {
	text := err.Error()
	for _, explanation := range []string{": a valid label", ": name part must", ": prefix part"} {
		text, _, _ = strings.Cut(text, explanation)
	}
	return text
}

var namespaceSelectorRule = &Rule{
	ID:       "namespace-selector",
	Severity: Warning,
	Kinds:    eventListeners,
	Doc: `Finds EventListeners and trigger groups that pick Triggers of all namespaces, or of others
than their own without a labelSelector.

Whoever may create a Trigger in one of them starts work with each of the EventListener's
events, reads its payload, and needs no leave of those who run it. With a labelSelector at
least those Triggers alone are picked that ask for it; for * nothing will do.

A * among other names is no pattern: it is the name of no namespace.`,
	Check: checkNamespaceSelector,
}

func checkNamespaceSelector(_ context.Context, p *Pass) {
	for _, s := range selectorsIn(p) {
		path := s.Path + ".namespaceSelector.matchNames"
		others := slices.DeleteFunc(slices.Clone(s.Namespaces), func(n string) bool { return n == "" || n == "*" || n == p.Namespace })
		switch star := slices.Contains(s.Namespaces, "*"); {
		case star && len(s.Namespaces) == 1:
			p.Report(path, "* picks Triggers of every namespace, so whoever may create one anywhere gets these events: name the namespaces, and add a labelSelector")
		case star:
			p.Report(path, "* stands for all namespaces only where it is alone, and picks nothing beside other names: remove it")
		case len(others) > 0 && s.Labels == nil:
			p.Report(path, "every Trigger in %s gets these events, whoever creates it: add a labelSelector that such Triggers have to carry", strings.Join(others, ", "))
		}
	}
}

var duplicateTriggerNameRule = &Rule{
	ID:       "duplicate-trigger-name",
	Severity: Warning,
	Kinds:    eventListeners,
	Doc: `Finds triggers, and trigger groups, of one EventListener with the same name.

Both run for each event, and the label triggers.tekton.dev/trigger on what they create,
logs and events tell one from the other no more. Mostly it is a copy of which the name was
forgotten.`,
	Check: checkDuplicateTriggerName,
}

func checkDuplicateTriggerName(_ context.Context, p *Pass) {
	var r object.Reader
	for _, list := range [][]trigger{triggersIn(p), groupsIn(p)} {
		first := map[string]string{}
		for _, t := range list {
			name := r.Text(t.Fields, "name")
			if at, taken := first[name]; taken && name != "" {
				p.Report(t.Path+".name", "%s has the name %q too, so nothing tells apart what the two create: give each its own", at, name)
				continue
			}
			first[name] = t.Path
		}
	}
}

var payloadValidationRule = &Rule{
	ID:       "payload-validation",
	Severity: Warning,
	Kinds:    eventListeners,
	Doc: `Finds EventListeners whose annotation tekton.dev/payload-validation is false, unless one of
their interceptors is slack, which needs it: Slack sends no JSON.

What is no JSON then reaches the interceptors and bindings, which answer with errors that
tell little.`,
	Check: checkPayloadValidation,
}

func checkPayloadValidation(_ context.Context, p *Pass) {
	var r object.Reader
	const key = "tekton.dev/payload-validation"
	if r.Text(r.Fields(r.Fields(p.Object, "metadata"), "annotations"), key) != "false" {
		return
	}
	if slices.ContainsFunc(interceptorsIn(chainsIn(p)...), func(in interceptor) bool { return in.core() == "slack" }) {
		return
	}
	p.Report("metadata.annotations["+key+"]", "payloads that are no JSON pass unchecked, and fail later where little tells why: remove the annotation unless your sender cannot send JSON")
}
