package validator

import "context"

var duplicateBindingParamRule = &Rule{
	ID:       "duplicate-binding-param",
	Severity: Error,
	Kinds:    kindsWithBindings,
	Doc: `Finds params that are bound twice within one object: in a TriggerBinding, or in what a
trigger writes out.

Triggers takes no value but stops: "duplicate param name" stands in the log, and every
event is dropped (pkg/template/resource.go of v0.37.0). Params that two bindings of a
trigger share are the matter of clashing-bindings.`,
	Check: checkDuplicateBindingParam,
}

func checkDuplicateBindingParam(_ context.Context, p *Pass) {
	for _, params := range ownParamsIn(p) {
		for _, twin := range paramTwins(params) {
			p.Report(twin.second.Path, "param %q is bound twice, so Triggers drops every event: remove one of the two, the other is %s", twin.second.Name, twin.first.Path)
		}
	}
}

// ownParamsIn returns the params that an object binds itself, trigger by trigger.
func ownParamsIn(p *Pass) [][]boundParam {
	var found [][]boundParam
	if p.Kind.Kind == "TriggerBinding" || p.Kind.Kind == "ClusterTriggerBinding" {
		var own []boundParam
		spec, _ := p.Object["spec"].(map[string]any)
		for _, bound := range paramsIn(spec, "spec") {
			own = append(own, boundParam{param: bound})
		}
		found = append(found, own)
	}
	for _, t := range triggersIn(p) {
		b := boundTrigger{trigger: t}
		b.bind(context.Background(), &Pass{Cluster: nowhere{}})
		found = append(found, b.Bound)
	}
	return found
}

// paramTwin is a param that has been bound before.
type paramTwin struct{ first, second boundParam }

func paramTwins(params []boundParam) []paramTwin {
	var found []paramTwin
	seen := map[string]boundParam{}
	for _, bound := range params {
		if bound.Name == "" {
			continue
		}
		if first, is := seen[bound.Name]; is {
			found = append(found, paramTwin{first, bound})
			continue
		}
		seen[bound.Name] = bound
	}
	return found
}
