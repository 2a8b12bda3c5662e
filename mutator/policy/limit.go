package policy

import "github.com/tekgate/tekgate/internal/wellknown"

// general are the limits of all policies.
var general = []Limit{
	{ID: "settings-of-namespaces", Reason: "a Namespace with the annotation " + wellknown.MutatorKey +
		" is left alone, since CEL cannot read YAML"},
	{ID: "resolved", Reason: "what a resolver fetches, and the steps of Tasks and StepActions that a run names, are left alone, since they do not stand in the run"},
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
	{ID: "told", Reason: "nothing is told in warnings, audit annotations and metrics of Tekgate, since policies have none"},
}
