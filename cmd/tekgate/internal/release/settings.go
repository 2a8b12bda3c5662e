package release

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/installer/settings"
	"github.com/tekgate/tekgate/manifests"
)

// closeNetwork adds the NetworkPolicies of Tekton, if the configuration declares them.
func (l *Loaded) closeNetwork() error {
	if !l.config.Tekton.NetworkPolicies {
		return nil
	}
	all, err := manifests.NetworkPolicies()
	if err != nil {
		return err
	}
	l.network = manifest.OfDeployments(all, l.Objects)
	l.Objects = append(l.Objects, l.network...)
	return nil
}

// policies returns the objects that have NetworkPolicies with a rule about the API server.
func (l *Loaded) policies() []*unstructured.Unstructured {
	return append(l.own[:len(l.own):len(l.own)], l.network...)
}

// settle puts the declared settings of Tekton into the objects, and returns notes. In the release
// this comes after the images are rewritten, since the values of settings are not images of it.
func (l *Loaded) settle(objects []*unstructured.Unstructured) (installer.Declared, []string, error) {
	if l.config.Tekton.Empty() {
		return installer.Declared{}, nil, nil
	}
	applied, err := settings.Apply(objects, l.config.Tekton)
	return installer.Declared{Keys: applied.Keys, Replicas: applied.Replicas}, applied.Notes, err
}

// settled returns copies of the objects with the declared settings, before the images are rewritten.
func (l *Loaded) settled() ([]*unstructured.Unstructured, installer.Declared, error) {
	if l.config.Tekton.Empty() {
		return l.Objects, installer.Declared{}, nil
	}
	objects := make([]*unstructured.Unstructured, 0, len(l.Objects))
	for _, obj := range l.Objects {
		objects = append(objects, obj.DeepCopy())
	}
	declared, _, err := l.settle(objects)
	return objects, declared, err
}
