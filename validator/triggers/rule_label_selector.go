package triggers

import (
	"context"
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/validator/rule"
)

var labelSelectorRule = &rule.Rule{
	ID:       "label-selector",
	Severity: rule.Error,
	Kinds:    rule.EventListeners,
	Doc: `Finds label selectors of EventListeners and trigger groups that Kubernetes does not take:
unknown operators, operators with too few or too many values, keys and values that are
no labels.

Tekton accepts them, and for each event writes an error into the log of a Pod and picks
no Trigger (selectTriggers in pkg/sink/sink.go of Tekton Triggers v0.37.0).`,
	Check: checkLabelSelector,
}

func checkLabelSelector(_ context.Context, p *rule.Pass) {
	for _, s := range selectorsIn(p) {
		var labels metav1.LabelSelector
		if s.Labels == nil || json.Unmarshal(triggerJSON(s.Labels), &labels) != nil {
			continue // Tekton says that it is of no such shape
		}
		if _, err := metav1.LabelSelectorAsSelector(&labels); err != nil {
			p.Report(s.Path+".labelSelector",
				"Kubernetes cannot read this selector, so it picks no Trigger and every event is dropped: %s",
				selectorProblem(err))
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
