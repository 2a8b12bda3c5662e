package triggers

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var selectorWithoutTriggersRule = &rule.Rule{
	ID:       "selector-without-triggers",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.EventListeners,
	Doc: `Finds selectors of EventListeners and trigger groups that pick no Trigger: every event
is answered with 202, and nothing follows.

Triggers may well come after their EventListener; hence it is a warning. All namespaces,
that is a selector of *, are looked through for names alone and not for labels.`,
	Check: checkSelectorWithoutTriggers,
}

func checkSelectorWithoutTriggers(ctx context.Context, p *rule.Pass) {
	for _, s := range selectorsIn(p) {
		wanted, ok := s.labels()
		if !ok {
			continue // label-selector says so
		}
		found, err := s.picks(ctx, p, wanted)
		switch {
		case err != nil:
			p.Unknown(s.Path, "looking for Triggers", err)
		case !found:
			p.Report(s.Path,
				"no Trigger is picked by this selector, so events are answered with 202 and nothing follows: create Triggers that it picks, or correct its labels and namespaces")
		}
	}
}

// labels is the label selector, everything where there is none.
func (s selector) labels() (labels.Selector, bool) {
	if s.Labels == nil {
		return labels.Everything(), true
	}
	var fields metav1.LabelSelector
	if json.Unmarshal(triggerJSON(s.Labels), &fields) != nil {
		return nil, false
	}
	wanted, err := metav1.LabelSelectorAsSelector(&fields)
	return wanted, err == nil
}

// picks tells whether a selector picks any Trigger.
func (s selector) picks(ctx context.Context, p *rule.Pass, wanted labels.Selector) (bool, error) {
	kind := schema.GroupKind{Group: rule.TriggersGroup, Kind: "Trigger"}
	namespaces := s.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{p.Namespace}
	}
	if len(namespaces) == 1 && namespaces[0] == "*" {
		names, err := p.Cluster.Names(ctx, kind, "")
		return len(names) > 0, err
	}
	for _, namespace := range namespaces {
		if namespace == "" {
			return true, nil // not known
		}
		names, err := p.Cluster.Names(ctx, kind, namespace)
		if err != nil {
			return false, err
		}
		for _, name := range names {
			found, err := p.Cluster.Get(ctx, kind, namespace, name)
			if err != nil {
				return false, err
			}
			if wanted.Matches(labels.Set(triggerLabels(found))) {
				return true, nil
			}
		}
	}
	return false, nil
}

// triggerLabels are the labels of an object.
func triggerLabels(fields map[string]any) map[string]string {
	var r object.Reader
	found := map[string]string{}
	for key, value := range r.Fields(r.Fields(fields, "metadata"), "labels") {
		if text, is := value.(string); is {
			found[key] = text
		}
	}
	return found
}
