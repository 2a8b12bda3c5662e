package validator

import (
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// securityRules are about what steps and their Pods may do.
//
// Who asks for a TaskRun no rule knows: so there is none which says that only
// Tekton's controller may create them. That is what RBAC is for.
var securityRules = []*Rule{
	privilegedRule,
	dangerousCapabilityRule,
	unconfinedRule,
	hostNetworkRule,
	hostPathRule,
	nodeSocketRule,
	dockerInDockerRule,
	pipeToShellRule,
	runInTektonNamespaceRule,

	privilegeEscalationRule,
	runAsRootRule,
	seccompProfileRule,
	capabilitiesKeptRule,
	secretInEnvRule,
	runInDefaultNamespaceRule,
}

// SecurityPolicy holds the lists and limits of securityRules.
type SecurityPolicy struct {
	Pods PodPolicy `json:"pods,omitzero"`
}

func (p SecurityPolicy) validate() error {
	return errors.Join(within("pods", p.Pods.validate()))
}

// PodPolicy says what Pods may have.
type PodPolicy struct {
	// Capabilities are those that a container may add, for the rule
	// capabilities-kept, without CAP_. Empty means NET_BIND_SERVICE.
	Capabilities []string `json:"capabilities,omitempty"`
	// HostPaths are paths of the node that may be mounted, for the rule host-path;
	// * stands for any characters but a slash. Empty means none.
	HostPaths []string `json:"hostPaths,omitempty"`
}

func (p PodPolicy) validate() error { return patterns("hostPaths", p.HostPaths) }

var _ = fmt.Sprint
var _ metav1.Duration
