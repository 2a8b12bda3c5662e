// Package settings puts declared settings of Tekton into the objects of a release, after
// judging them with the parsers that Tekton itself uses.
package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Applied is what Apply did.
type Applied struct {
	// Keys are the keys of ConfigMaps that the configuration decides, by the identity of
	// the ConfigMap.
	Keys map[string][]string
	// Replicas are the identities of Deployments whose replicas it decides.
	Replicas map[string]bool
	// Notes are sentences about decisions on the way.
	Notes []string
}

// Apply changes the objects of a release, in place. The objects of Tekgate stay as they
// are. The error joins all problems, by their paths in the configuration.
func Apply(objects []*unstructured.Unstructured, s declared.Settings) (Applied, error) {
	a := application{
		settings: s,
		applied:  Applied{Keys: map[string][]string{}, Replicas: map[string]bool{}},
		older:    otherRelease(installer.VersionsOf(objects)),
	}
	for _, obj := range objects {
		if obj.GetNamespace() == wellknown.TekgateNamespace {
			continue
		}
		switch obj.GetKind() {
		case "ConfigMap":
			a.configMaps = append(a.configMaps, obj)
		case "Deployment":
			a.deployments = append(a.deployments, obj)
		case "HorizontalPodAutoscaler":
			a.autoscalers = append(a.autoscalers, obj)
		}
	}
	err := errors.Join(a.allConfigMaps(), a.allDeployments())
	return a.applied, err
}

// application is one Apply.
type application struct {
	settings                             declared.Settings
	applied                              Applied
	older                                string // see otherRelease
	configMaps, deployments, autoscalers []*unstructured.Unstructured
}

func (a *application) note(format string, args ...any) {
	a.applied.Notes = append(a.applied.Notes, fmt.Sprintf(format, args...))
}

// allConfigMaps judges and sets the keys of all sections.
func (a *application) allConfigMaps() error {
	var found []error
	values := map[*unstructured.Unstructured]map[string]string{}
	for _, section := range a.settings.Sections() {
		targets := a.targets(section)
		if len(targets) == 0 {
			found = append(found, a.noConfigMap(section))
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(section.Values)) {
			value := string(section.Values[key])
			taken, err := a.judge(targets, section.Path, key, value)
			found = append(found, err)
			for _, target := range taken {
				if values[target] == nil {
					values[target] = map[string]string{}
				}
				values[target][key] = value
			}
		}
	}
	if err := errors.Join(found...); err != nil {
		return err
	}
	for _, target := range a.configMaps {
		if len(values[target]) > 0 {
			found = append(found, a.setData(target, values[target]))
		}
	}
	return errors.Join(found...)
}

// targets returns the ConfigMaps of a section.
func (a *application) targets(section declared.Section) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, obj := range a.configMaps {
		name := obj.GetName()
		if section.Prefix && (name == section.ConfigMap || strings.HasPrefix(name, section.ConfigMap+"-")) ||
			name == section.ConfigMap || obj.GetNamespace()+"/"+name == section.ConfigMap {
			found = append(found, obj)
		}
	}
	return found
}

func (a *application) noConfigMap(section declared.Section) error {
	var names []string
	for _, obj := range a.configMaps {
		names = append(names, obj.GetName())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return fmt.Errorf("tekton.%s: the release has no ConfigMap %s: %s", section.Path, section.ConfigMap,
		suggest.DidYouMean(section.ConfigMap, names, "it has "+strings.Join(names, ", ")))
}

// setData sets keys of a ConfigMap.
func (a *application) setData(obj *unstructured.Unstructured, values map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if err := unstructured.SetNestedField(obj.Object, values[key], "data", key); err != nil {
			return fmt.Errorf("%s: %w", kube.Name(obj), err)
		}
	}
	a.applied.Keys[kube.Identity(obj)] = slices.Sorted(maps.Keys(values))
	if err := together(obj); err != nil && a.older == "" {
		return fmt.Errorf("tekton: Tekton does not work with %s as a whole: %w: change the values that do not go together",
			kube.Name(obj), err)
	}
	return nil
}
