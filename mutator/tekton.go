package mutator

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// The ConfigMaps of Tekton's namespace that say how Tekton is set up.
const (
	TektonInfo     = "pipelines-info"
	TektonFlags    = "feature-flags"
	TektonDefaults = "config-defaults"
)

// The ConfigMaps of the resolvers' namespace that say how the cluster resolver is set up.
const (
	ResolverFlags  = "resolvers-feature-flags"
	ResolverConfig = "cluster-resolver-config"
)

// ResolversOf returns the namespace of the resolvers of a Tekton that runs in a namespace:
// they have one of their own in Tekton's releases, and none in distributions that rename
// Tekton's.
func ResolversOf(tekton string) string {
	if tekton == wellknown.PipelinesNamespace {
		return wellknown.ResolversNamespace
	}
	return tekton
}

// Resolver is how Tekton's cluster resolver is set up. The zero value is one that fetches
// from all namespaces.
type Resolver struct {
	Disabled bool     `json:"disabled,omitempty"` // enable-cluster-resolver is false
	Allowed  []string `json:"allowed,omitempty"`  // allowed-namespaces
	Blocked  []string `json:"blocked,omitempty"`  // blocked-namespaces
	// Defaults are default-kind and default-namespace.
	Defaults object.FetchDefaults `json:"defaults,omitzero"`
	// Down says why nothing is fetched at present, "" if the resolver runs.
	Down string `json:"down,omitempty"`
}

// refuses says why the resolver fetches nothing from a namespace, or "".
func (r Resolver) refuses(namespace string) string {
	switch {
	case r.Disabled:
		return "Tekton's flag enable-cluster-resolver is off: switch it on in the ConfigMap resolvers-feature-flags"
	case slices.Contains(r.Blocked, namespace):
		return fmt.Sprintf("blocked-namespaces of cluster-resolver-config names %q: take it out", namespace)
	case slices.Contains(r.Allowed, namespace):
		return r.Down
	case slices.Contains(r.Blocked, "*"), len(r.Allowed) > 0:
		return fmt.Sprintf("allowed-namespaces of cluster-resolver-config does not name %q: add it", namespace)
	}
	return r.Down
}

// ParseResolver reads the data of the ConfigMaps ResolverFlags and ResolverConfig; nil
// stands for one that nobody could read.
func ParseResolver(flags, config map[string]string) Resolver {
	// The same function as Tekton's (pkg/apis/config/resolver, pipeline v1.15.0).
	enabled, err := strconv.ParseBool(cmp.Or(flags["enable-cluster-resolver"], "true"))
	return Resolver{
		Disabled: err == nil && !enabled,
		Allowed:  between(config["allowed-namespaces"]),
		Blocked:  between(config["blocked-namespaces"]),
		Defaults: object.FetchDefaults{Kind: config["default-kind"], Namespace: config["default-namespace"]},
	}
}

// ParseTekton reads the data of the ConfigMaps TektonInfo, TektonFlags and
// TektonDefaults; nil stands for one that nobody could read. What Tekton would
// not take counts as not said, for Tekton's webhook refuses it and its controller
// then keeps what held before, which nobody else knows.
func ParseTekton(info, flags, defaults map[string]string) Tekton {
	// The same function as Tekton's (pkg/apis/config, pipeline v1.15.0).
	disabled, _ := strconv.ParseBool(flags["disable-creds-init"])
	return Tekton{
		Version:               strings.TrimSpace(info["version"]),
		CredsInitDisabled:     disabled,
		DefaultServiceAccount: defaults["default-service-account"],
		DefaultPodTemplate:    parsePodTemplate(defaults["default-pod-template"]),
		ForbiddenEnv:          between(defaults["default-forbidden-env"]),
		APIFields:             flags["enable-api-fields"],
		NoMatchPolicy:         flags["trusted-resources-verification-no-match-policy"],
	}
}

func parsePodTemplate(text string) map[string]any {
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil
	}
	fields, err := object.Decode(raw)
	if err != nil {
		return nil // nothing is said, or no object
	}
	return fields
}

// between reads names between commas.
func between(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
