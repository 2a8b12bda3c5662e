package installer

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// WrittenByServers returns the objects that Tekgate's servers, or cert-manager for them, write
// themselves, without content: no inventory has them.
func WrittenByServers() []*unstructured.Unstructured {
	objects := []*unstructured.Unstructured{NewObject(live.ClusterInterceptor, "", "tekgate")}
	for _, name := range []string{
		wellknown.WebhookCA, wellknown.InterceptorCA, wellknown.WebhookTLS, wellknown.InterceptorTLS, "tekgate-ca",
	} {
		objects = append(objects, NewObject(live.Secret, Namespace, name))
	}
	return objects
}

// refuseOwn fails if a release has an object in which Tekgate keeps its own state: applied, it would
// destroy the record of the installation, or the keys of the servers.
func refuseOwn(objects []*unstructured.Unstructured) error {
	own := map[string]bool{
		kube.Identity(InventorySecret()): true, kube.Identity(NewObject(leaseKind, Namespace, LeaseName)): true,
	}
	for _, obj := range WrittenByServers() {
		own[kube.Identity(obj)] = true
	}
	for _, obj := range objects {
		if own[kube.Identity(obj)] {
			return fmt.Errorf("the manifests contain %s, which Tekgate writes itself: take it out of them",
				kube.Name(obj))
		}
	}
	return nil
}

// findFound notes which objects of the user's manifests were in the cluster before Tekgate: they
// stay when the manifest is removed. What a component of Tekton consists of is taken over as a
// whole, and does not count.
func (p *Plan) findFound(facts Facts) {
	before := map[string]bool{}
	for _, obj := range p.Previous.All() {
		before[kube.Identity(obj)] = true
	}
	for _, part := range p.Release.Parts {
		if _, is := release.FindComponent(part.Name); is {
			continue
		}
		var names []string
		for _, obj := range part.Of(p.Release.Objects) {
			id := kube.Identity(obj)
			switch {
			case facts.Live[id] == nil:
			case p.Previous.found(id):
				p.Found = append(p.Found, id)
			case !before[id]:
				p.Found = append(p.Found, id)
				names = append(names, kube.Name(obj))
			}
		}
		if len(names) > 0 {
			p.Notes = append(p.Notes, fmt.Sprintf(
				"%s changes what was in the cluster before: %s; it stays when the manifest is removed",
				Title(part.Name), strings.Join(names, ", ")))
		}
	}
}

// found reports whether an object was in the cluster before Tekgate applied a manifest with it.
func (i *Inventory) found(identity string) bool {
	return i != nil && slices.Contains(i.Found, identity)
}

// WasFound reports whether an object was in the cluster before Tekgate applied a manifest with it,
// so that it stays.
func (i *Inventory) WasFound(obj *unstructured.Unstructured) bool { return i.found(kube.Identity(obj)) }
