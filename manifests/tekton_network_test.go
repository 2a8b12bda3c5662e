package manifests_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/manifests"
)

// tekton has the Deployments and Services of the embedded releases of Tekton, and the
// NetworkPolicies for them.
type tekton struct {
	deployments []*appsv1.Deployment
	services    []*corev1.Service
	policies    []*networkingv1.NetworkPolicy
}

func readTekton(t *testing.T) tekton {
	t.Helper()
	var all tekton
	for _, name := range []string{"pipeline", "triggers", "triggers-interceptors"} {
		release, err := manifests.Tekton(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range release.Objects {
			switch obj.GetKind() {
			case "Deployment":
				all.deployments = append(all.deployments, convert[appsv1.Deployment](t, obj))
			case "Service":
				all.services = append(all.services, convert[corev1.Service](t, obj))
			}
		}
	}
	policies, err := manifests.NetworkPolicies()
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range policies {
		all.policies = append(all.policies, convert[networkingv1.NetworkPolicy](t, obj))
	}
	return all
}

// peer is the other end of a connection; without labels it is an address outside the
// cluster's Pods, as an API server has.
type peer struct{ labels map[string]string }

var (
	outside       = peer{}
	anyPod        = peer{map[string]string{"app": "prometheus"}}
	eventListener = peer{map[string]string{
		"app.kubernetes.io/managed-by": "EventListener", "app.kubernetes.io/part-of": "Triggers", "eventlistener": "push",
	}}
)

// allows reports whether a policy lets a connection through, as Kubernetes defines it: one
// rule has to name the port and the peer, and no ports or peers stand for all.
func allows(t *testing.T, policy *networkingv1.NetworkPolicy, direction networkingv1.PolicyType, port int32,
	protocol corev1.Protocol, from peer) bool {
	t.Helper()
	if !slices.Contains(policy.Spec.PolicyTypes, direction) {
		return true
	}
	if direction == networkingv1.PolicyTypeEgress {
		return slices.ContainsFunc(policy.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
			return namesPort(r.Ports, port, protocol) && namesPeer(t, r.To, from)
		})
	}
	return slices.ContainsFunc(policy.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
		return namesPort(r.Ports, port, protocol) && namesPeer(t, r.From, from)
	})
}

func namesPort(ports []networkingv1.NetworkPolicyPort, port int32, protocol corev1.Protocol) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		return *p.Protocol == protocol && *p.Port == intstr.FromInt32(port)
	})
}

// namesPeer takes every namespace for selected, since the policies select all or none.
func namesPeer(t *testing.T, peers []networkingv1.NetworkPolicyPeer, from peer) bool {
	t.Helper()
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		if p.NamespaceSelector == nil || len(p.NamespaceSelector.MatchLabels) > 0 || p.IPBlock != nil {
			t.Fatal("the policy selects peers in a way that this test does not know")
		}
		selector, err := metav1.LabelSelectorAsSelector(p.PodSelector)
		if err != nil {
			t.Fatal(err)
		}
		return from.labels != nil && selector.Matches(labels.Set(from.labels))
	})
}

// policyOf returns the one policy about the Pods of a Deployment.
func (all tekton) policyOf(t *testing.T, d *appsv1.Deployment) *networkingv1.NetworkPolicy {
	t.Helper()
	var found []*networkingv1.NetworkPolicy
	for _, policy := range all.policies {
		if policy.Namespace == d.Namespace &&
			labels.SelectorFromSet(policy.Spec.PodSelector.MatchLabels).Matches(labels.Set(d.Spec.Template.Labels)) {
			found = append(found, policy)
		}
	}
	if len(found) != 1 || found[0].Name != d.Name {
		t.Fatalf("%s is selected by %d NetworkPolicies", d.Name, len(found))
	}
	return found[0]
}

// TestTektonIsReached holds that each Deployment of Tekton has a NetworkPolicy, that it can
// be reached at every port of its Services and probes, and that profiling cannot.
func TestTektonIsReached(t *testing.T) {
	all := readTekton(t)
	if len(all.deployments) != len(all.policies) || len(all.policies) != 7 {
		t.Errorf("%d policies for %d Deployments", len(all.policies), len(all.deployments))
	}
	for _, d := range all.deployments {
		policy := all.policyOf(t, d)
		for name, port := range all.served(d) {
			from := anyPod
			switch {
			case name == "https-webhook":
				from = outside
			case d.Name == "tekton-triggers-core-interceptors":
				from = eventListener
			}
			open := allows(t, policy, networkingv1.PolicyTypeIngress, port, corev1.ProtocolTCP, from)
			if closed := name == "http-profiling"; open == closed {
				t.Errorf("%s: port %d (%s) is open: %v", d.Name, port, name, open)
			}
		}
		if allows(t, policy, networkingv1.PolicyTypeIngress, 8008, corev1.ProtocolTCP, anyPod) {
			t.Errorf("%s: profiling is open", d.Name)
		}
	}
}

// served returns the ports of a Deployment that its Services and probes name.
func (all tekton) served(d *appsv1.Deployment) map[string]int32 {
	container := d.Spec.Template.Spec.Containers[0]
	number := func(p intstr.IntOrString, otherwise int32) int32 {
		for _, port := range container.Ports {
			if p.Type == intstr.String && port.Name == p.StrVal {
				return port.ContainerPort
			}
		}
		if p.Type == intstr.Int && p.IntVal != 0 {
			return p.IntVal
		}
		return otherwise
	}
	ports := map[string]int32{}
	for _, service := range all.services {
		if service.Namespace == d.Namespace &&
			labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			for _, p := range service.Spec.Ports {
				ports[p.Name] = number(p.TargetPort, p.Port)
			}
		}
	}
	for name, probe := range map[string]*corev1.Probe{
		"liveness": container.LivenessProbe, "readiness": container.ReadinessProbe,
	} {
		if probe != nil && probe.HTTPGet != nil {
			ports[name] = number(probe.HTTPGet.Port, 0)
		}
	}
	return ports
}

// TestTektonCalls holds what each Deployment may call: those that fetch from outside
// anything, and the others API servers and DNS alone.
func TestTektonCalls(t *testing.T) {
	fetch := []string{"tekton-pipelines-controller", "tekton-events-controller", "tekton-pipelines-remote-resolvers",
		"tekton-triggers-core-interceptors"}
	all := readTekton(t)
	for _, d := range all.deployments {
		policy := all.policyOf(t, d)
		calls := func(port int32, protocol corev1.Protocol) bool {
			return allows(t, policy, networkingv1.PolicyTypeEgress, port, protocol, outside)
		}
		if !calls(443, corev1.ProtocolTCP) || !calls(6443, corev1.ProtocolTCP) || !calls(53, corev1.ProtocolUDP) ||
			!calls(53, corev1.ProtocolTCP) {
			t.Errorf("%s cannot call an API server or DNS", d.Name)
		}
		if got, want := calls(5000, corev1.ProtocolTCP), slices.Contains(fetch, d.Name); got != want {
			t.Errorf("%s may call a registry: %v, want %v", d.Name, got, want)
		}
	}
}

// TestOnlyEventListenersCallInterceptors holds that other Pods cannot.
func TestOnlyEventListenersCallInterceptors(t *testing.T) {
	all := readTekton(t)
	for _, d := range all.deployments {
		if d.Name == "tekton-triggers-core-interceptors" &&
			allows(t, all.policyOf(t, d), networkingv1.PolicyTypeIngress, 8443, corev1.ProtocolTCP, anyPod) {
			t.Error("any Pod can call the core interceptors")
		}
	}
}

// TestPoliciesFollowTheRelease holds that policies without a Deployment are left out.
func TestPoliciesFollowTheRelease(t *testing.T) {
	policies, err := manifests.NetworkPolicies()
	if err != nil {
		t.Fatal(err)
	}
	triggers, err := manifests.Tekton("triggers")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, policy := range manifest.OfDeployments(policies, triggers.Objects) {
		names = append(names, policy.GetName())
	}
	if want := []string{"tekton-triggers-controller", "tekton-triggers-webhook"}; !slices.Equal(names, want) {
		t.Errorf("the policies are %v, want %v", names, want)
	}
}
