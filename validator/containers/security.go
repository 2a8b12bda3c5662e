// Package containers has the rules about images, and about what steps and their Pods may do.
package containers

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/validator/rule"
)

// SecurityRules are about what steps and their Pods may do.
//
// Who asks for a TaskRun no rule knows: so there is none which says that only
// Tekton's controller may create them. That is what RBAC is for.
var SecurityRules = []*rule.Rule{
	privilegedRule,
	dangerousCapabilityRule,
	unconfinedRule,
	hostNetworkRule,
	hostPathRule,
	nodeSocketRule,
	dockerInDockerRule,
	pipeToShellRule,
	tlsVerificationOffRule,
	runInTektonNamespaceRule,
	kanikoInsecureRule,
	kanikoArchivedRule,
	kanikoArgumentsRule,
	kanikoBrokenFlagRule,
	kanikoFloatingTagRule,
	kanikoRegistryMapRule,
	registryAuthFileRule,
	remoteDockerfileRule,
	buildahPrivilegesRule,

	privilegeEscalationRule,
	runAsRootRule,
	seccompProfileRule,
	capabilitiesKeptRule,
	secretInEnvRule,
	runInDefaultNamespaceRule,
	podTemplateFieldRule,
	runtimeClassRule,
	nodePlacementRule,
	serviceAccountForbiddenRule,
	defaultServiceAccountRule,
	serviceAccountTokenRule,
	volumeSourceRule,
	timeoutDisabledRule,
	timeoutTooLongRule,
	tooManyRetriesRule,
	missingLimitsRule,
	matrixTooLargeRule,
	kanikoDestinationRule,
	kanikoNoDigestRule,
	kanikoCacheRepoRule,
	buildPlatformRule,
}

// SecurityPolicy holds the lists and limits of SecurityRules. In lists of names and
// keys * stands for any characters but a slash.
type SecurityPolicy struct {
	Pods     PodPolicy     `json:"pods,omitzero"`
	Accounts AccountPolicy `json:"accounts,omitzero"`
	Sources  SourcePolicy  `json:"sources,omitzero"`
	Limits   LimitPolicy   `json:"limits,omitzero"`
	Builds   BuildPolicy   `json:"builds,omitzero"`
}

// Validate reports each problem with the path of its field in the policy.
func (p SecurityPolicy) Validate() error {
	return errors.Join(
		problems.Prefix("pods.", p.Pods.validate()),
		problems.Prefix("accounts.", p.Accounts.validate()),
		problems.Prefix("sources.", p.Sources.validate()),
		problems.Prefix("limits.", p.Limits.validate()),
		problems.Prefix("builds.", p.Builds.validate()),
	)
}

// PodPolicy says what Pods may have.
type PodPolicy struct {
	// Capabilities are those that a container may add, for the rule
	// capabilities-kept, without CAP_. Empty means NET_BIND_SERVICE.
	Capabilities []string `json:"capabilities,omitempty"`
	// HostPaths are paths of the node that may be mounted, for the rule host-path.
	// Empty means none.
	HostPaths []string `json:"hostPaths,omitempty"`
	// PodTemplate are the fields that a run may set, for the rule
	// pod-template-field. Empty means all.
	PodTemplate []string `json:"podTemplate,omitempty"`
	// RuntimeClasses are those that a run may name, for the rule runtime-class.
	// Empty means all.
	RuntimeClasses []string `json:"runtimeClasses,omitempty"`
	// NodeKeys are the keys of labels and taints of nodes that a run may ask for,
	// for the rule node-placement. Empty means all.
	NodeKeys []string `json:"nodeKeys,omitempty"`
}

func (p PodPolicy) validate() error {
	return errors.Join(
		rule.CheckPatterns("hostPaths", p.HostPaths),
		rule.CheckPatterns("runtimeClasses", p.RuntimeClasses),
		rule.CheckPatterns("nodeKeys", p.NodeKeys),
	)
}

// AccountPolicy says which ServiceAccounts runs may use.
type AccountPolicy struct {
	// Allowed are all that they may, for the rule service-account-forbidden.
	// Empty means all.
	Allowed []string `json:"allowed,omitempty"`
	// WithToken are those whose token may be mounted, for the rule
	// service-account-token. Empty means none.
	WithToken []string `json:"withToken,omitempty"`
}

func (p AccountPolicy) validate() error {
	return errors.Join(rule.CheckPatterns("allowed", p.Allowed), rule.CheckPatterns("withToken", p.WithToken))
}

// SourcePolicy says what workspaces and volumes may hold, for the rule volume-source.
// Each empty list means all.
type SourcePolicy struct {
	Kinds      []string `json:"kinds,omitempty"` // fields of a binding or volume: emptyDir, secret, …
	Secrets    []string `json:"secrets,omitempty"`
	ConfigMaps []string `json:"configMaps,omitempty"`
	Claims     []string `json:"claims,omitempty"` // PersistentVolumeClaims
}

func (p SourcePolicy) validate() error {
	return errors.Join(rule.CheckPatterns("secrets", p.Secrets), rule.CheckPatterns("configMaps", p.ConfigMaps),
		rule.CheckPatterns("claims", p.Claims))
}

// LimitPolicy says how much runs may take.
type LimitPolicy struct {
	// Timeout is the longest that may be asked for. 0 means any.
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// Retries are the most that may be asked for. Nothing means any number.
	Retries *int `json:"retries,omitempty"`
	// Combinations are the most that a matrix may make. 0 means any number.
	Combinations int `json:"combinations,omitempty"`
	// Required are the resources of which each container needs a limit: cpu,
	// memory, ephemeral-storage.
	Required []string `json:"required,omitempty"`
}

func (p LimitPolicy) validate() error {
	var problems []error
	if p.Timeout.Duration < 0 {
		problems = append(problems, errors.New("timeout: a time cannot be negative: write 0 for any"))
	}
	if p.Retries != nil && *p.Retries < 0 {
		problems = append(problems, errors.New("retries: it cannot be negative: leave it out for any number"))
	}
	if p.Combinations < 0 {
		problems = append(problems, errors.New("combinations: it cannot be negative: write 0 for any number"))
	}
	return errors.Join(problems...)
}

// BuildPolicy says what images may be built, and where they go.
type BuildPolicy struct {
	// Destinations are patterns of host and path that may be pushed to, for the
	// rule kaniko-destination. Empty means all.
	Destinations []string `json:"destinations,omitempty"`
	// Platforms are those that may be built for, for the rule build-platform.
	// Empty means all.
	Platforms []string `json:"platforms,omitempty"`
}

func (p BuildPolicy) validate() error {
	return errors.Join(checkPatterns("destinations", p.Destinations), rule.CheckPatterns("platforms", p.Platforms))
}
