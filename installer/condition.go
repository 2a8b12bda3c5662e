package installer

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// keepConditions returns what is applied of a webhook configuration.
//
// Conditions that are new are what the configuration wants. Of those that there are,
// the servers alone know whether they may be narrow: they see the Namespaces with
// settings of their own, and whether all of them use the new configuration. So they
// stay as they are as long as the configuration does, which also lets an install that
// changes nothing say so, and are opened where it changes.
func keepConditions(change *Change, wanted map[string]string, sameConfig bool) *unstructured.Unstructured {
	current := map[string]string{}
	if change.Live != nil {
		eachCondition(change.Live, func(hook string, condition map[string]any) {
			current[hook], _ = condition["expression"].(string)
		})
	}
	desired := change.Desired.DeepCopy()
	eachCondition(desired, func(hook string, condition map[string]any) {
		has, there := current[hook]
		switch {
		case there && sameConfig:
			condition["expression"] = has
		case change.Live == nil && wanted[hook] != "":
			condition["expression"] = wanted[hook]
		default:
			condition["expression"] = wellknown.Always
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
			if condition, _ := c.(map[string]any); condition["name"] == wellknown.MatchCondition {
				do(name, condition)
			}
		}
	}
}

// sameConfig tells whether the servers have the configuration of the release already.
func sameConfig(objects []*unstructured.Unstructured, current map[string]*unstructured.Unstructured) bool {
	for _, obj := range objects {
		if !manifest.IsTekgateConfig(obj) {
			continue
		}
		has := current[kube.Identity(obj)]
		return has != nil && ConfigData(has)[wellknown.ConfigMapKey] == ConfigData(obj)[wellknown.ConfigMapKey]
	}
	return false
}
