package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// explainPipelineRun returns the causes of a PipelineRun: its own, and those of its TaskRuns
// that have not succeeded.
func explainPipelineRun(s *State, obj *unstructured.Unstructured) []Cause {
	key, c := KeyOf(obj), conditionOf(obj)
	if c.succeeded() {
		return nil
	}
	all := runEvidence(s, obj, c)
	causes := slices.Concat(
		controllerCauses(s, obj.Object, key, c, s.age(obj), 0),
		resolutionCauses(s, key, c, all),
		verdictCauses(key, c),
		textCauses(key, c, all),
	)
	for _, child := range Children(s, obj) {
		if conditionOf(child).reason != "FailureIgnored" { // its task has onError: continue
			causes = append(causes, newTask(s, child).explain()...)
		}
	}
	// Tekton calls a run cancelled whose tasks it cancelled at the end of timeouts.tasks.
	if late := func(c Cause) bool { return c.ID == "run-timeout" }; slices.ContainsFunc(causes, late) &&
		text(obj.Object, "spec", "status") == "" {
		causes = slices.DeleteFunc(causes, func(c Cause) bool { return c.ID == "cancelled" && c.Run == key })
	}
	// That a TaskRun was cancelled because of the PipelineRun is no cause.
	rooted := slices.ContainsFunc(causes, func(c Cause) bool { return !isConsequence(c, key) })
	if rooted {
		causes = slices.DeleteFunc(causes, func(c Cause) bool { return isConsequence(c, key) })
	} else if c.failed() && strings.HasPrefix(c.reason, "PipelineRunTimeout") {
		causes = nil // those of its TaskRuns
	}
	if len(causes) > 0 || !c.failed() {
		return causes
	}
	if strings.HasPrefix(c.reason, "PipelineRunTimeout") {
		return []Cause{{ID: "run-timeout", Run: key, Object: key, Message: c.message}}
	}
	others := otherChildren(s, obj)
	if len(others) > 0 {
		return others
	}
	return []Cause{{ID: "unknown", Run: key, Object: key, Message: reported(c)}}
}

// OtherChildren returns a PipelineRun's children that are no TaskRuns, as its status names them.
func OtherChildren(obj *unstructured.Unstructured) []Key {
	var keys []Key
	for _, ref := range list(obj.Object, "status", "childReferences") {
		if kind, name := text(ref, "kind"), text(ref, "name"); kind != "TaskRun" && name != "" {
			keys = append(keys, Key{kind, obj.GetNamespace(), name})
		}
	}
	return keys
}

// otherChildren returns what is known of a failed PipelineRun's children that are no TaskRuns: custom
// tasks and PipelineRuns. How they failed is in their own conditions.
func otherChildren(s *State, obj *unstructured.Unstructured) []Cause {
	var causes []Cause
	key := KeyOf(obj)
	for _, child := range OtherChildren(obj) {
		read := s.objects[child]
		if read != nil && !conditionOf(read).failed() {
			continue
		}
		cause := Cause{ID: "unknown", Run: key, Object: child,
			Message: "whether it failed was not read; the PipelineRun reports " + reported(conditionOf(obj)),
			Remedy: fmt.Sprintf("see its conditions: kubectl describe %s.tekton.dev -n %s %s", strings.ToLower(child.Kind),
				child.Namespace, child.Name)}
		if read != nil {
			cause.Message = reported(conditionOf(read))
		}
		if child.Kind == "PipelineRun" {
			cause.Remedy = fmt.Sprintf("`tekgate why %s -n %s` explains it", child.Name, child.Namespace)
		}
		causes = append(causes, cause)
	}
	return causes
}

// isConsequence reports whether a cause follows from another one of the PipelineRun.
func isConsequence(c Cause, pipelineRun Key) bool {
	switch c.ID {
	case "run-timeout":
		return true
	case "cancelled":
		return c.Run != pipelineRun
	}
	return false
}

// runEvidence returns the texts about a PipelineRun itself.
func runEvidence(s *State, obj *unstructured.Unstructured, c condition) []evidence {
	var all []evidence
	for _, request := range s.Kind("ResolutionRequest") {
		if rc := conditionOf(request); rc.failed() && ownedBy(request, obj) {
			all = append(all, evidence{fromResolution, KeyOf(request), "", rc.reason, rc.message})
		}
	}
	if c.failed() || c.status == "Unknown" {
		all = append(all, evidence{fromCondition, KeyOf(obj), "", c.reason, c.message})
	}
	return all
}

// textCauses returns the causes that texts about a PipelineRun prove.
func textCauses(key Key, c condition, all []evidence) []Cause {
	var causes []Cause
	for _, e := range all {
		i := slices.IndexFunc(knownTexts, func(k known) bool { return k.find.MatchString(e.text) })
		if i < 0 || !c.failed() {
			continue
		}
		cause := knownCause(knownTexts[i], e.text)
		cause.Run, cause.Object = key, e.object
		causes = append(causes, cause)
	}
	return oneEach(causes)
}

// Children returns the TaskRuns of a PipelineRun, in the order of their start.
func Children(s *State, obj *unstructured.Unstructured) []*unstructured.Unstructured {
	var children []*unstructured.Unstructured
	for _, child := range s.Kind("TaskRun") {
		if child.GetNamespace() == obj.GetNamespace() && child.GetLabels()["tekton.dev/pipelineRun"] == obj.GetName() {
			children = append(children, child)
		}
	}
	slices.SortStableFunc(children, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time),
			strings.Compare(a.GetName(), b.GetName()))
	})
	return children
}

// Failing reports whether a run has failed, or is still going on.
func Failing(obj *unstructured.Unstructured) (failed, unfinished bool) {
	c := conditionOf(obj)
	return c.failed(), !c.failed() && !c.succeeded()
}

// Summary returns the state of a run in a word or two, and Tekton's reason.
func Summary(obj *unstructured.Unstructured) (state, reason string) {
	c := conditionOf(obj)
	switch c.status {
	case "True":
		return "succeeded", c.reason
	case "False":
		return "failed", c.reason
	case "":
		return "not started", ""
	}
	return "running", c.reason
}

// Account returns the name of the ServiceAccount that a run's Pod has.
func Account(state *State, run Key) string {
	obj := state.objects[run]
	if obj == nil {
		return ""
	}
	return newTask(state, obj).account
}
