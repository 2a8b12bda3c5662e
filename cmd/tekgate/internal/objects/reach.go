package objects

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/manifests"
)

// Reach has the namespaceSelectors of the mutating webhooks that this release installs.
type Reach []labels.Selector

// ReadReach reads the selectors.
func ReadReach() (Reach, error) {
	registered, err := Selectors(live.Mutating.Kind)
	if err != nil {
		return nil, err
	}
	var selectors Reach
	for _, given := range registered {
		if given == nil {
			return Reach{labels.Everything()}, nil
		}
		selector, err := metav1.LabelSelectorAsSelector(given)
		if err != nil {
			return nil, err
		}
		selectors = append(selectors, selector)
	}
	return selectors, nil
}

// Selectors returns the namespaceSelector of each webhook in the configurations of a
// kind that this release installs, nil for a webhook without one.
func Selectors(kind string) ([]*metav1.LabelSelector, error) {
	own, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	var selectors []*metav1.LabelSelector
	for _, obj := range own {
		if obj.GetKind() != kind {
			continue
		}
		var registration struct {
			Webhooks []struct {
				NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector"`
			} `json:"webhooks"`
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &registration); err != nil {
			return nil, err
		}
		for _, webhook := range registration.Webhooks {
			selectors = append(selectors, webhook.NamespaceSelector)
		}
	}
	return selectors, nil
}

// Has reports whether a webhook applies to a namespace, by its name. The rules
// themselves check other labels.
func (r Reach) Has(namespace string) bool {
	name := labels.Set{corev1.LabelMetadataName: namespace}
	return slices.ContainsFunc(r, func(s labels.Selector) bool { return s.Matches(name) })
}
