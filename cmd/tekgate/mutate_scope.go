package main

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/manifests"
)

// reach says in which namespaces the API server asks Tekgate at all, by the
// registration that this release installs.
type reach []labels.Selector

// readReach reads the namespaceSelectors of all mutating webhooks.
func readReach() (reach, error) {
	registered, err := registeredSelectors()
	if err != nil {
		return nil, err
	}
	var selectors reach
	for _, given := range registered {
		if given == nil {
			return reach{labels.Everything()}, nil
		}
		selector, err := metav1.LabelSelectorAsSelector(given)
		if err != nil {
			return nil, err
		}
		selectors = append(selectors, selector)
	}
	return selectors, nil
}

// registeredSelectors returns the namespaceSelector of each mutating webhook that this
// release installs, nil for one that has none.
func registeredSelectors() ([]*metav1.LabelSelector, error) {
	own, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	var selectors []*metav1.LabelSelector
	for _, obj := range own {
		if obj.GetKind() != live.Mutating.Kind {
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

// asked tells whether some webhook is for a namespace. What else its labels say
// the rules look at themselves.
func (r reach) asked(namespace string) bool {
	name := labels.Set{corev1.LabelMetadataName: namespace}
	return slices.ContainsFunc(r, func(s labels.Selector) bool { return s.Matches(name) })
}
