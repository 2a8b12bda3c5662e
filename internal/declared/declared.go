// Package declared has the settings of Tekton that a configuration declares.
//
// It checks their shape only. Whether a release of Tekton knows a key, and takes its
// value, is judged by package installer/settings, which links Tekton's own parsers.
package declared

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Settings are the settings of Tekton. Each of the maps becomes data of ConfigMaps.
type Settings struct {
	FeatureFlags Values `json:"featureFlags,omitempty"` // feature-flags
	Defaults     Values `json:"defaults,omitempty"`     // config-defaults
	Events       Values `json:"events,omitempty"`       // config-events
	Tracing      Values `json:"tracing,omitempty"`      // config-tracing
	// Metrics, LeaderElection and Logging become data of all ConfigMaps whose names begin
	// with config-observability, config-leader-election and config-logging.
	Metrics        Values `json:"metrics,omitempty"`
	LeaderElection Values `json:"leaderElection,omitempty"`
	Logging        Values `json:"logging,omitempty"`
	// ConfigMaps are values of any other ConfigMap of the release, by its name, or by
	// NAMESPACE/NAME. They win over the fields above.
	ConfigMaps map[string]Values `json:"configMaps,omitempty"`

	// Workload holds for every Deployment of Tekton.
	Workload
	// Deployments holds for single Deployments, by their name, or by the component that
	// they belong to, such as pipelines. A name wins over a component.
	Deployments map[string]Workload `json:"deployments,omitempty"`

	// NetworkPolicies adds a NetworkPolicy for each Deployment of Pipelines and Triggers.
	NetworkPolicies bool `json:"networkPolicies,omitempty"`
}

// Values are keys of a ConfigMap.
type Values map[string]Value

// Value is a value of a ConfigMap. A file may write it as any YAML scalar.
type Value string

// UnmarshalJSON reads a string, a number or a boolean.
func (v *Value) UnmarshalJSON(text []byte) error {
	var scalar any
	if err := json.Unmarshal(text, &scalar); err != nil {
		return err
	}
	switch s := scalar.(type) {
	case string:
		*v = Value(s)
	case bool, float64:
		*v = Value(text)
	case nil:
		return errors.New(`it has no value: write "" for an empty one, or leave the key out`)
	default:
		return errors.New("it must be a string, a number, true or false: write a value of several lines as text, after |")
	}
	return nil
}

// Workload are settings of a Deployment. What is not set stays as the release has it.
type Workload struct {
	Replicas *int32 `json:"replicas,omitempty"`
	// NodeSelector and Tolerations are added to those of the release.
	NodeSelector map[string]string   `json:"nodeSelector,omitempty"`
	Tolerations  []corev1.Toleration `json:"tolerations,omitempty"`
	// Affinity replaces each of its fields that is set.
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// Resources holds for every container. Single requests and limits are replaced.
	Resources         *corev1.ResourceRequirements `json:"resources,omitempty"`
	PriorityClassName string                       `json:"priorityClassName,omitempty"`
}

// Empty reports whether nothing is declared.
func (s Settings) Empty() bool {
	return !s.NetworkPolicies && s.empty() && len(s.Deployments) == 0 && len(s.Sections()) == 0
}

func (w Workload) empty() bool {
	return w.Replicas == nil && len(w.NodeSelector) == 0 && len(w.Tolerations) == 0 && w.Affinity == nil &&
		w.Resources == nil && w.PriorityClassName == ""
}

// Over returns w, with the fields of general where w has none.
func (w Workload) Over(general Workload) Workload {
	if w.Replicas == nil {
		w.Replicas = general.Replicas
	}
	if w.NodeSelector == nil {
		w.NodeSelector = general.NodeSelector
	}
	if w.Tolerations == nil {
		w.Tolerations = general.Tolerations
	}
	if w.Affinity == nil {
		w.Affinity = general.Affinity
	}
	if w.Resources == nil {
		w.Resources = general.Resources
	}
	if w.PriorityClassName == "" {
		w.PriorityClassName = general.PriorityClassName
	}
	return w
}

// Section is one of the maps, and the ConfigMaps that it is for.
type Section struct {
	Path   string // in the configuration, below tekton
	Values Values
	// ConfigMap is a name or NAMESPACE/NAME. Prefix is set if it begins the names of
	// several.
	ConfigMap string
	Prefix    bool
}

// Sections returns the maps that have keys. Later ones win.
func (s Settings) Sections() []Section {
	all := []Section{
		{"featureFlags", s.FeatureFlags, "feature-flags", false},
		{"defaults", s.Defaults, "config-defaults", false},
		{"events", s.Events, "config-events", false},
		{"tracing", s.Tracing, "config-tracing", false},
		{"metrics", s.Metrics, "config-observability", true},
		{"leaderElection", s.LeaderElection, "config-leader-election", true},
		{"logging", s.Logging, "config-logging", true},
	}
	for _, name := range slices.Sorted(maps.Keys(s.ConfigMaps)) {
		all = append(all, Section{"configMaps." + name, s.ConfigMaps[name], name, false})
	}
	return slices.DeleteFunc(all, func(s Section) bool { return len(s.Values) == 0 })
}

// Example is the key of a ConfigMap that holds its documentation.
const Example = "_example"

// Validate reports everything that is wrong, joined, by paths below tekton.
func (s Settings) Validate() error {
	found := []error{s.validate()}
	for _, section := range s.Sections() {
		for _, key := range slices.Sorted(maps.Keys(section.Values)) {
			found = append(found, problems.Prefix(section.Path+".", validateKey(key)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.ConfigMaps)) {
		found = append(found, problems.Prefix("configMaps."+name+": ", validateConfigMap(name)))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Deployments)) {
		found = append(found, problems.Prefix("deployments."+name+".", s.Deployments[name].validate()))
	}
	return errors.Join(found...)
}

func validateKey(key string) error {
	if key == Example {
		return fmt.Errorf("%s: it is documentation, which Tekton compares with a checksum: leave it out", key)
	}
	if wrong := validation.IsConfigMapKey(key); len(wrong) > 0 {
		return fmt.Errorf("%s: it is not a key of a ConfigMap: %s", key, wrong[0])
	}
	return nil
}

func validateConfigMap(name string) error {
	namespace, plain, qualified := strings.Cut(name, "/")
	if !qualified {
		plain = name
	}
	switch {
	case len(validation.IsDNS1123Subdomain(plain)) > 0 || qualified && len(validation.IsDNS1123Label(namespace)) > 0:
		return errors.New("it must be the name of a ConfigMap, or NAMESPACE/NAME")
	case namespace == wellknown.TekgateNamespace && qualified:
		return errors.New("it is Tekgate's own: the other sections of this file fill it")
	}
	return nil
}

func (w Workload) validate() error {
	var found []error
	if w.Replicas != nil && *w.Replicas < 1 {
		found = append(found, fmt.Errorf("replicas: %d must be at least 1", *w.Replicas))
	}
	for _, key := range slices.Sorted(maps.Keys(w.NodeSelector)) {
		if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
			found = append(found, fmt.Errorf("nodeSelector: %q is not a label: %s", key, wrong[0]))
		}
		if wrong := validation.IsValidLabelValue(w.NodeSelector[key]); len(wrong) > 0 {
			found = append(found, fmt.Errorf("nodeSelector.%s: %q is not a value of a label: %s", key,
				w.NodeSelector[key], wrong[0]))
		}
	}
	for i, t := range w.Tolerations {
		found = append(found, problems.Prefix(fmt.Sprintf("tolerations[%d].", i), validateToleration(t)))
	}
	if w.Resources != nil {
		found = append(found, problems.Prefix("resources.", validateResources(*w.Resources)))
	}
	if wrong := validation.IsDNS1123Subdomain(w.PriorityClassName); w.PriorityClassName != "" && len(wrong) > 0 {
		found = append(found, fmt.Errorf("priorityClassName: %q is not the name of a PriorityClass: %s",
			w.PriorityClassName, wrong[0]))
	}
	return errors.Join(found...)
}

func validateToleration(t corev1.Toleration) error {
	operators := []string{"", string(corev1.TolerationOpEqual), string(corev1.TolerationOpExists)}
	effects := []string{"", string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule),
		string(corev1.TaintEffectNoExecute)}
	switch {
	case !slices.Contains(operators, string(t.Operator)):
		return fmt.Errorf("operator: %q must be Equal or Exists", t.Operator)
	case !slices.Contains(effects, string(t.Effect)):
		return fmt.Errorf("effect: %q must be NoSchedule, PreferNoSchedule or NoExecute", t.Effect)
	case t.Operator == corev1.TolerationOpExists && t.Value != "":
		return errors.New("value: operator Exists has none: leave it out, or use operator Equal")
	case t.Key == "" && t.Operator != corev1.TolerationOpExists:
		return errors.New("key: only operator Exists can do without one")
	}
	return nil
}

func validateResources(r corev1.ResourceRequirements) error {
	var found []error
	if len(r.Claims) > 0 {
		found = append(found, errors.New("claims: they are not supported: set requests and limits"))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		if limit, limited := r.Limits[name]; limited && request.Cmp(limit) > 0 {
			found = append(found, fmt.Errorf("requests.%s: %s is more than the limit, %s", name, &request, &limit))
		}
	}
	return errors.Join(found...)
}
