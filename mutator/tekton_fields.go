package mutator

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"
)

// newField is a field that some releases of Tekton do not know.
type newField struct {
	path  string // below a run's podTemplate or a variable; * stands for one name
	since *version.Version
}

// newFields are the fields that rules can add and that Tekton Pipelines v0.27.0, the oldest
// release that Tekgate is made for, does not know. Each has the first release that knows it.
// Tekton's webhook refuses a run with a field that it does not know, whatever the failurePolicy
// of Tekgate's webhook is.
//
// All other fields that rules add are in v0.27.0, or came with the version of the API that they
// stand in: taskRunTemplate and computeResources with v1, StepActions as a whole. v1 is served
// since v0.43, and its steps have had computeResources since v0.41.
//
// The sources are pkg/apis/pipeline/pod/template.go of the releases, and for what stands deeper,
// k8s.io/api/core/v1/types.go in the version that the go.mod of the release names.
var newFields = []newField{
	{"topologySpreadConstraints", since("v0.39.0")},
	{"env", since("v0.43.0")}, // tektoncd/pipeline#5699

	// Kubernetes v1.21; v0.27.3 has v0.20.7 of k8s.io/api, v0.28.0 has v0.21.4.
	{"affinity/*/requiredDuringSchedulingIgnoredDuringExecution/namespaceSelector", since("v0.28.0")},
	{"affinity/*/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/namespaceSelector", since("v0.28.0")},
	// Kubernetes v1.22; v0.31.0 has v0.21.4, v0.32.0 has v0.22.5.
	{"securityContext/windowsOptions/hostProcess", since("v0.32.0")},
	// Kubernetes v1.24 and v1.25; v0.40.2 has v0.23.9, v0.41.0 has v0.25.3.
	{"topologySpreadConstraints/minDomains", since("v0.41.0")},
	{"topologySpreadConstraints/matchLabelKeys", since("v0.41.0")},
	{"topologySpreadConstraints/nodeAffinityPolicy", since("v0.41.0")},
	{"topologySpreadConstraints/nodeTaintsPolicy", since("v0.41.0")},
	// Kubernetes v1.29; v0.60.0 has v0.28.5, v0.61.0 has v0.29.6.
	{"affinity/*/requiredDuringSchedulingIgnoredDuringExecution/matchLabelKeys", since("v0.61.0")},
	{"affinity/*/requiredDuringSchedulingIgnoredDuringExecution/mismatchLabelKeys", since("v0.61.0")},
	{"affinity/*/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/matchLabelKeys", since("v0.61.0")},
	{"affinity/*/preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm/mismatchLabelKeys", since("v0.61.0")},
	// Kubernetes v1.30 and v1.31; v0.68.0 has v0.29.13, v0.70.0 has v0.31.6.
	{"securityContext/appArmorProfile", since("v0.70.0")},
	{"securityContext/supplementalGroupsPolicy", since("v0.70.0")},
	// Kubernetes v1.32; v0.70.0 has v0.31.6, v1.0.0 has v0.32.2.
	{"securityContext/seLinuxChangePolicy", since("v1.0.0")},
	// Kubernetes v1.34; v1.9.6 has v0.32.13, v1.10.0 has v0.34.3. The variables of steps are meant.
	{"valueFrom/fileKeyRef", since("v1.10.0")},
}

func since(release string) *version.Version { return version.MustParseGeneric(release) }

// newestIn returns the field in a value that came last, the value itself included; nil if
// every release knows all of it. At is the path of the value.
func newestIn(at string, value any) *newField {
	var newest *newField
	take := func(found *newField) {
		if found != nil && (newest == nil || newest.since.LessThan(found.since)) {
			newest = found
		}
	}
	i := slices.IndexFunc(newFields, func(f newField) bool { matched, _ := path.Match(f.path, at); return matched })
	if i >= 0 {
		take(&newField{at, newFields[i].since})
	}
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			take(newestIn(path.Join(at, key), value[key]))
		}
	case []any:
		for _, item := range value {
			take(newestIn(at, item))
		}
	}
	return newest
}

// podName returns the field of a podTemplate as users write it.
func (f *newField) podName() string { return "podTemplate." + strings.ReplaceAll(f.path, "/", ".") }

// variableName is podName for a field of a variable.
func (f *newField) variableName() string {
	return strings.ReplaceAll(f.path, "/", ".") + " in a variable of a step"
}

// RefusesPodField says why this Tekton would refuse a run that has a field in its podTemplate,
// or "". The value is decoded JSON.
func (t Tekton) RefusesPodField(name string, value any) string {
	return t.refuses(newestIn(name, value), (*newField).podName)
}

// RefusesVariable says why this Tekton would refuse a step with a variable, or "".
func (t Tekton) RefusesVariable(entry map[string]any) string {
	return t.refuses(newestIn("", entry), (*newField).variableName)
}

// refuses says why this Tekton would refuse a field, which is nil if every release knows it, or
// "". A release that is not known counts as a current one.
func (t Tekton) refuses(field *newField, name func(*newField) string) string {
	if field == nil || !t.olderThan(field.since) {
		return ""
	}
	return fmt.Sprintf("Tekton %s does not know %s, which came with v%s", t.Version, name(field), field.since)
}

// olderThan reports whether this Tekton is known to be older than a release.
func (t Tekton) olderThan(release *version.Version) bool {
	own, err := version.ParseGeneric(t.Version)
	return err == nil && own.LessThan(release)
}

// leaveOut warns once that a field was not added, and why. Remedy is what users can do instead
// of an upgrade.
func (p *pass) leaveOut(why, remedy string) {
	warning := fmt.Sprintf("%s, and would refuse the %s, so the field was not added: upgrade Tekton, or %s (rule %s)", why,
		p.kind.Kind, remedy, p.rule.ID)
	if !slices.Contains(p.out.Warnings, warning) {
		p.out.Warnings = append(p.out.Warnings, warning)
	}
}
