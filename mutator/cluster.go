package mutator

import (
	"context"

	"github.com/tekgate/tekgate/internal/entrypoint"
)

// Cluster answers what the rules have to know of other objects: a cluster, or
// files that stand for one. What does not exist is nil without an error.
type Cluster interface {
	// Namespace returns a Namespace by its name.
	Namespace(ctx context.Context, name string) (*Namespace, error)
	// ServiceAccount returns a ServiceAccount.
	ServiceAccount(ctx context.Context, namespace, name string) (*Account, error)
	// WorkloadIdentity returns the name of a ServiceAccount of the namespace that
	// has one of the annotations, "" where none has.
	WorkloadIdentity(ctx context.Context, namespace string, annotations []string) (string, error)
	// Task returns a Task as decoded JSON: apiVersion, kind, spec, and of the metadata
	// labels and annotations.
	Task(ctx context.Context, namespace, name string) (map[string]any, error)
	// StepAction returns a StepAction likewise.
	StepAction(ctx context.Context, namespace, name string) (map[string]any, error)
	// Verifies tells whether the namespace has a VerificationPolicy.
	Verifies(ctx context.Context, namespace string) (bool, error)
	// ConfigMap returns a ConfigMap of a namespace that runs are in.
	ConfigMap(ctx context.Context, namespace, name string) (*ConfigMap, error)
	// Tekton returns how the cluster's Tekton is set up, as far as that is known.
	Tekton(ctx context.Context) Tekton
	// Entrypoints returns what images on the mirror start, nil if nothing is known.
	Entrypoints(ctx context.Context) *entrypoint.Table
}

// Namespace is what Tekgate wants to know of one.
type Namespace struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// Unused says why its own settings are not used, "" if they are.
	Unused string `json:"unused,omitempty"`
}

// Account is what Tekgate wants to know of a ServiceAccount. No Secret is ever read.
type Account struct {
	Secrets     []string          `json:"secrets,omitempty"`     // names of the Secrets that it lists for Tekton
	PullSecrets []string          `json:"pullSecrets,omitempty"` // names of its imagePullSecrets
	Annotations map[string]string `json:"annotations,omitempty"` // all of them
	// Assumed says that nobody could be asked, and that the ServiceAccount is
	// taken for one that exists and has what is needed.
	Assumed bool `json:"assumed,omitempty"`
}

// ConfigMap is what Tekgate wants to know of one: no value.
type ConfigMap struct {
	Keys []string `json:"keys,omitempty"`
	// Assumed says that nobody could be asked, as that of an Account.
	Assumed bool `json:"assumed,omitempty"`
}

// Tekton is how Tekton Pipelines is set up (ConfigMaps pipelines-info,
// feature-flags and config-defaults of its namespace, and those of the resolvers). The
// zero value is a current release with its defaults.
type Tekton struct {
	// such as v1.15.0; "" where it is not known
	Version           string `json:"version,omitempty"`
	CredsInitDisabled bool   `json:"credsInitDisabled,omitempty"` // disable-creds-init
	// default-service-account; "" means default
	DefaultServiceAccount string         `json:"defaultServiceAccount,omitempty"`
	DefaultPodTemplate    map[string]any `json:"defaultPodTemplate,omitempty"` // default-pod-template, decoded
	ForbiddenEnv          []string       `json:"forbiddenEnv,omitempty"`       // default-forbidden-env
	APIFields             string         `json:"apiFields,omitempty"`          // enable-api-fields
	// trusted-resources-verification-no-match-policy
	NoMatchPolicy string   `json:"noMatchPolicy,omitempty"`
	Resolver      Resolver `json:"resolver,omitzero"`
}

// nowhere is a cluster that holds nothing.
type nowhere struct{}

func (nowhere) Namespace(context.Context, string) (*Namespace, error) { return nil, nil }
func (nowhere) ServiceAccount(context.Context, string, string) (*Account, error) {
	return nil, nil
}
func (nowhere) WorkloadIdentity(context.Context, string, []string) (string, error) { return "", nil }
func (nowhere) Task(context.Context, string, string) (map[string]any, error)       { return nil, nil }
func (nowhere) StepAction(context.Context, string, string) (map[string]any, error) { return nil, nil }
func (nowhere) Verifies(context.Context, string) (bool, error)                     { return false, nil }
func (nowhere) ConfigMap(context.Context, string, string) (*ConfigMap, error)      { return nil, nil }
func (nowhere) Tekton(context.Context) Tekton                                      { return Tekton{} }
func (nowhere) Entrypoints(context.Context) *entrypoint.Table                      { return nil }
