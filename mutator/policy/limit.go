package policy

import (
	"fmt"

	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// general returns the limits of all policies.
func (c *compiler) general() []Limit {
	return append([]Limit{{ID: "resolved", Reason: fmt.Sprintf("what a resolver fetches is changed only in the dry runs that Tekton's controller, the user %s, makes since Tekton v0.62: older releases run it as it was fetched",
		c.controller())}}, everywhere...)
}

// everywhere are the same for every configuration.
var everywhere = []Limit{
	{ID: "local-tasks", Reason: "the steps of a Task, Pipeline or StepAction that a run names in its own namespace stay as they are, because Tekton reads them where no policy is evaluated: refer to them by the cluster resolver, and the policies for dry runs change them"},
	{ID: "settings-of-namespaces", Reason: "a Namespace with the annotation " + wellknown.MutatorKey +
		" is left alone, since CEL cannot read YAML"},
	{ID: "pods", Reason: "Pods are left alone: they are where the webhook reaches the runs of older releases of Tekton, and StepActions of the namespace"},
	{ID: "nested-pipelines", Reason: "a pipeline within a pipeline is left alone, since CEL knows no recursion"},
	{ID: "parameters",
		Reason: "where a rule asks for the image, a step whose image holds a parameter is left alone, since CEL cannot put parameters into a text one after the other"},
	{ID: "shape", Reason: "an object of which a part is not of the shape that Tekton takes is left alone by each rule that reads the part, for CEL ends at the first mistake"},
	{ID: "originals", Reason: "an object whose annotation " + wellknown.OriginalImagesKey +
		" is not written as Tekgate writes it is left alone, since CEL cannot read JSON"},
	{ID: "reapplied", Reason: "updates are left alone, so that a run that is applied once more lacks what it was given and is refused by Tekton: keep the webhook where runs are applied again and again"},
	{ID: "tekton-settings",
		Reason: "Tekton's ConfigMaps are not read again: the policies have in them what held when they were made"},
	{ID: "order", Reason: "the API server evaluates policies in no defined order and may repeat each of them: nothing is added twice, but the variables that two rules add to one step stand in any order"},
	{ID: "failures", Reason: "a policy that cannot be evaluated changes nothing and the others still do, with no warning and no event: only the API server's metric apiserver_mutating_admission_policy_check_total counts it"},
	{ID: "cost", Reason: "an object that is too large for the API server's limit of cost is left alone by each rule that exceeds it: 100 steps with an image and three variables each are within the limit"},
	{ID: "reports", Reason: "what the policies change is reported in no warning, audit annotation or metric of Tekgate, and for dry runs in no record"},
}

// localTasks makes no policy of mutator.localTasks: see Remainder.
//
// A policy could turn the name of a Task into a reference to Tekton's cluster resolver. But
// where that resolver is switched off, is down or refuses the namespace, such a run fails,
// and a policy can learn none of this; the webhook asks first, and otherwise leaves the
// reference alone. Nor could a policy see whether any rule would change the Task.
func (c *compiler) localTasks() error {
	const rule = "local-tasks"
	switch config := c.Config.LocalTasks; {
	case config.Disabled || config.Mode == mutator.TasksInPods:
	case config.Mode == mutator.TasksStored:
		c.leaveOut(rule, "stored",
			"the policies for Tasks, Pipelines and StepActions are limited to dry runs, and change nothing that is stored: leave it to the webhook")
	default:
		c.leaveOut(rule, "resolver",
			"a run that names a Task keeps that reference, because a policy cannot tell whether Tekton's cluster resolver works, and without it the run would fail: write the reference to the cluster resolver in the run, or leave it to the webhook")
	}
	return nil
}
