package installer

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// keptCondition is the name of the match conditions whose expressions come from the
// configuration. Tekgate's admission server keeps them once it runs.
const keptCondition = "wanted-by-configuration"

// open is the expression of a condition that keeps nothing away.
const open = "true"

// keepConditions returns what is applied of a webhook configuration.
//
// Conditions that are new are what the configuration wants. Of those that there are,
// the servers alone know whether they may be narrow: they see the Namespaces with
// settings of their own, and whether all of them use the new configuration. So they
// stay as they are as long as the configuration does, which also lets an install that
// changes nothing say so, and are opened where it changes.
func keepConditions(change *Change, wanted map[string]string, sameConfig bool) *unstructured.Unstructured {
	live := map[string]string{}
	if change.Live != nil {
		eachCondition(change.Live, func(hook string, condition map[string]any) {
			live[hook], _ = condition["expression"].(string)
		})
	}
	desired := change.Desired.DeepCopy()
	eachCondition(desired, func(hook string, condition map[string]any) {
		has, there := live[hook]
		switch {
		case there && sameConfig:
			condition["expression"] = has
		case change.Live == nil && wanted[hook] != "":
			condition["expression"] = wanted[hook]
		default:
			condition["expression"] = open
		}
	})
	return desired
}

// eachCondition calls do with each of these conditions, which it may change, and the
// name of its webhook.
func eachCondition(configuration *unstructured.Unstructured, do func(hook string, condition map[string]any)) {
	hooks, _ := configuration.Object["webhooks"].([]any)
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		name, _ := hook["name"].(string)
		conditions, _ := hook["matchConditions"].([]any)
		for _, c := range conditions {
			if condition, _ := c.(map[string]any); condition["name"] == keptCondition {
				do(name, condition)
			}
		}
	}
}

// sameConfig tells whether the servers have the configuration of the release already.
func sameConfig(objects []*unstructured.Unstructured, live map[string]*unstructured.Unstructured) bool {
	for _, obj := range objects {
		if obj.GetKind() != "ConfigMap" || obj.GetNamespace() != Namespace || obj.GetName() != "tekgate-config" {
			continue
		}
		has := live[identity(obj)]
		return has != nil && configData(has)["config.yaml"] == configData(obj)["config.yaml"]
	}
	return false
}
