package expressions

import (
	"context"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var duplicateBindingParamRule = &rule.Rule{
	ID:       "duplicate-binding-param",
	Severity: rule.Error,
	Kinds:    kindsWithBindings,
	Doc: `Finds params that are bound twice within one object: in a TriggerBinding, or in what a
trigger writes out.

Triggers takes no value but stops: "duplicate param name" stands in the log, and every
event is dropped (pkg/template/resource.go of v0.37.0). Params that two bindings of a
trigger share are the matter of clashing-bindings.`,
	Check: checkDuplicateBindingParam,
}

func checkDuplicateBindingParam(_ context.Context, p *rule.Pass) {
	for _, params := range ownParamsIn(p) {
		for _, twin := range paramTwins(params) {
			p.Report(twin.second.Path,
				"param %q is bound twice, so Triggers drops every event: remove one of the two, the other is %s",
				twin.second.Name, twin.first.Path)
		}
	}
}

// ownParamsIn returns the params that an object binds itself, trigger by trigger.
func ownParamsIn(p *rule.Pass) [][]boundParam {
	var found [][]boundParam
	if p.Kind.Kind == "TriggerBinding" || p.Kind.Kind == "ClusterTriggerBinding" {
		var own []boundParam
		spec, _ := p.Object["spec"].(map[string]any)
		for _, bound := range rule.ParamsIn(spec, "spec") {
			own = append(own, boundParam{Param: bound})
		}
		found = append(found, own)
	}
	for _, t := range walk.TriggersIn(p) {
		b := boundTrigger{Trigger: t}
		b.bind(context.Background(), &rule.Pass{Cluster: rule.Nowhere{}})
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
