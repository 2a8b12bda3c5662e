package mutator

import (
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/object"
)

// The ConfigMaps of Tekton's namespace that say how Tekton is set up.
const (
	TektonInfo     = "pipelines-info"
	TektonFlags    = "feature-flags"
	TektonDefaults = "config-defaults"
)

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
		ForbiddenEnv:          parseForbiddenEnv(defaults["default-forbidden-env"]),
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

// parseForbiddenEnv reads names between commas.
func parseForbiddenEnv(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}
