package manifests_test

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
)

// TestServersAreClosed holds that each server has a NetworkPolicy, that it may call nothing
// but an API server and DNS, and that it can be reached at its own ports alone.
func TestServersAreClosed(t *testing.T) {
	policies := typed[networkingv1.NetworkPolicy](t, "NetworkPolicy")
	for name, d := range servers(t) {
		policy := policies[name]
		if policy == nil {
			t.Errorf("%s has no NetworkPolicy", name)
			continue
		}
		if !sameSelector(&policy.Spec.PodSelector, d.Spec.Selector) {
			t.Errorf("%s: the NetworkPolicy is about other Pods", name)
		}
		for _, kind := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			if !slices.Contains(policy.Spec.PolicyTypes, kind) {
				t.Errorf("%s: %s is not limited", name, kind)
			}
		}
		for _, rule := range policy.Spec.Egress {
			limited(t, name+" calls", rule.Ports, "443", "6443", "53")
		}
		for _, rule := range policy.Spec.Ingress {
			limited(t, name+" is called at", rule.Ports, "https", "health", "metrics")
		}
	}
}

// limited holds that a rule names ports, and no others than these.
func limited(t *testing.T, what string, ports []networkingv1.NetworkPolicyPort, allowed ...string) {
	t.Helper()
	if len(ports) == 0 {
		t.Errorf("%s any port", what)
	}
	for _, p := range ports {
		if p.Port == nil || p.EndPort != nil || !slices.Contains(allowed, p.Port.String()) {
			t.Errorf("%s port %v", what, p.Port)
		}
	}
}
