package manifest

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// apiServerPort marks, in the NetworkPolicies of the manifests, the rule about the API
// server.
const apiServerPort = int64(443)

// OfDeployments returns those of the NetworkPolicies that select Pods of a Deployment among
// the objects of a release.
func OfDeployments(policies, objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(policies), func(policy *unstructured.Unstructured) bool {
		selector, _, _ := unstructured.NestedStringMap(policy.Object, "spec", "podSelector", "matchLabels")
		return !slices.ContainsFunc(objects, func(obj *unstructured.Unstructured) bool {
			pod, _, _ := unstructured.NestedStringMap(obj.Object, "spec", "template", "metadata", "labels")
			return obj.GetKind() == "Deployment" && obj.GetNamespace() == policy.GetNamespace() &&
				labels.SelectorFromSet(selector).Matches(labels.Set(pod))
		})
	})
}

// AllowAPIServerPorts lets the servers call the API server at further TCP ports: those of
// its endpoints, which NetworkPolicies see in place of its Service's.
func AllowAPIServerPorts(objects []*unstructured.Unstructured, ports []int64) error {
	return eachRule(objects, "egress", func(_ string, rule map[string]any, has []any) {
		if !slices.ContainsFunc(has, isPort(apiServerPort)) {
			return
		}
		for _, port := range ports {
			if !slices.ContainsFunc(has, isPort(port)) {
				has = append(has, map[string]any{"port": port, "protocol": "TCP"})
			}
		}
		rule["ports"] = has
	})
}

// SetAPIServerCIDRs lets only these addresses call the admission server.
func SetAPIServerCIDRs(objects []*unstructured.Unstructured, cidrs []string) error {
	return eachRule(objects, "ingress", func(policy string, rule map[string]any, ports []any) {
		if policy != wellknown.Webhook || !slices.ContainsFunc(ports, isPort("https")) {
			return
		}
		from := make([]any, 0, len(cidrs))
		for _, cidr := range cidrs {
			from = append(from, map[string]any{"ipBlock": map[string]any{"cidr": cidr}})
		}
		rule["from"] = from
	})
}

func isPort(port any) func(any) bool {
	return func(p any) bool {
		entry, _ := p.(map[string]any)
		return entry["port"] == port && entry["protocol"] == "TCP"
	}
}

// Network is the label of the NetworkPolicies that Tekgate adds for Tekton.
const Network = "tekgate.dev/network"

// eachRule changes the rules of a direction in the NetworkPolicies of Tekgate and in those
// that it adds for Tekton.
func eachRule(objects []*unstructured.Unstructured, direction string,
	change func(policy string, rule map[string]any, ports []any)) error {
	for _, obj := range objects {
		if obj.GetKind() != "NetworkPolicy" ||
			obj.GetNamespace() != wellknown.TekgateNamespace && obj.GetLabels()[Network] == "" {
			continue
		}
		rules, _, err := unstructured.NestedSlice(obj.Object, "spec", direction)
		if err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
		for _, r := range rules {
			rule, _ := r.(map[string]any)
			ports, _ := rule["ports"].([]any)
			change(obj.GetName(), rule, ports)
		}
		if err := unstructured.SetNestedSlice(obj.Object, rules, "spec", direction); err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
	}
	return nil
}
