// Package wellknown names the objects, fields and annotations that several components
// must agree on.
//
// Components never import one another, so a name that two of them use is defined here.
// A name that only one component uses stays in that component.
package wellknown

// The namespaces of an installation.
const (
	PipelinesNamespace = "tekton-pipelines"
	ResolversNamespace = "tekton-pipelines-resolvers"
	TekgateNamespace   = "tekgate"
	// DeliveriesNamespace holds the Leases with which the interceptor remembers deliveries,
	// and nothing else, so that it needs no right to other Leases.
	DeliveriesNamespace = "tekgate-deliveries"
)

// The two servers: each name is that of a Deployment, its Service and its ServiceAccount.
const (
	Webhook     = "tekgate-webhook"
	Interceptor = "tekgate-interceptor"
)

// The Secrets of the servers' certificates, in their namespace.
const (
	WebhookCA      = "tekgate-webhook-ca"
	WebhookTLS     = "tekgate-webhook-tls"
	InterceptorCA  = "tekgate-interceptor-ca"
	InterceptorTLS = "tekgate-interceptor-tls"
	ConfigMap      = "tekgate-config"
	ConfigMapKey   = "config.yaml"
	APIVersion     = "tekgate.dev/v1alpha1" // of the configuration file and of lock files
)

// The webhook configurations and their webhooks (manifests/tekgate/500-webhooks.yaml).
const (
	MutatingConfiguration   = "mutate.tekgate.dev"
	ValidatingConfiguration = "validate.tekgate.dev"

	MutateRuns      = "taskruns.mutate.tekgate.dev"
	MutateReapplied = "reapplied.mutate.tekgate.dev"
	MutateResolved  = "resolved.mutate.tekgate.dev"
	MutateStored    = "stored.mutate.tekgate.dev"
	MutatePods      = "pods.mutate.tekgate.dev"

	ValidateTriggers      = "triggers.validate.tekgate.dev"
	ValidatePipelines     = "pipelines.validate.tekgate.dev"
	ValidateRuns          = "runs.validate.tekgate.dev"
	ValidatePods          = "pods.validate.tekgate.dev"
	ValidateConfiguration = "configuration.validate.tekgate.dev"
)

// SettableFailurePolicy are the webhooks whose failurePolicy the configuration sets. The one
// for Tekgate's own configuration is not among them: it is always Ignore, so that an error
// there never keeps the configuration from being corrected.
var SettableFailurePolicy = []string{
	MutateRuns, MutateReapplied, MutateResolved, MutateStored, MutatePods, ValidateTriggers, ValidatePipelines,
	ValidateRuns, ValidatePods,
}

// MatchCondition is the name of the match condition of each webhook whose CEL expression
// is generated from the configuration. Always is the expression that excludes nothing.
const (
	MatchCondition = "wanted-by-configuration"
	Always         = "true"
)

// Labels and annotations that users set.
const (
	// MutateKey with the value Disabled, as a label of a Namespace or an annotation of
	// an object, switches all mutator rules off.
	MutateKey = "tekgate.dev/mutate"
	// ValidateKey with the value Disabled does the same for the validator's rules.
	ValidateKey = "tekgate.dev/validate"
	Disabled    = "disabled"
	// SkipRulesKey is an annotation of an object: ids of mutator rules, separated by
	// commas, that leave the object alone.
	SkipRulesKey = "tekgate.dev/skip-rules"
	// SignatureKey is an annotation of what Tekton's Trusted Resources have signed
	// (pkg/trustedresources/verify.go, pipeline v1.15.0).
	SignatureKey = "tekton.dev/signature"
	// MutatorKey is an annotation of a Namespace: YAML of the section mutator that
	// overrides the cluster's configuration there.
	MutatorKey = "tekgate.dev/mutator"
	// WebhookSecretKey is a label of the Secrets that verify webhooks. A new installation
	// demands it.
	WebhookSecretKey = "tekgate.dev/webhook-secret"
	// RotateKey is an annotation of a CA's Secret that starts its replacement.
	RotateKey = "tekgate.dev/rotate-ca"
)

// Labels and annotations that Tekgate sets.
const (
	// MutatedKey holds the record of a mutation: rule ids and a hash of the configuration.
	MutatedKey = "tekgate.dev/mutated"
	// OriginalImagesKey holds the images that a mutation replaced.
	OriginalImagesKey = "tekgate.dev/original-images"
	// VariablesKey holds hashes of the variables that a mutation set and that follow the
	// configuration when a run is created again.
	VariablesKey = "tekgate.dev/set-variables"
	// ReplayNamespace is the label of the Leases with which the interceptor remembers
	// deliveries, and of no other object: the namespace of the Trigger.
	ReplayNamespace = "tekgate.dev/replay-namespace"
	// ReplayFold is the label of the Leases that stand for many deliveries, and
	// ReplayDigests is the annotation with the deliveries.
	ReplayFold    = "tekgate.dev/replay-fold"
	ReplayDigests = "tekgate.dev/replay-digests"
	// FailKey is an annotation of a webhook configuration: the webhooks that the
	// configuration gives failurePolicy Fail, separated by commas.
	FailKey = "tekgate.dev/fail"
	// ProbeKey on a dry run requests the record even if nothing is mutated.
	ProbeKey = "tekgate.dev/probe"
)
