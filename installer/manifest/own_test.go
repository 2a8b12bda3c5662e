package manifest_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// The authorities of a registry reach the controller of Chains, which pushes signatures to it,
// by the means that Pipelines' release has, once, however often it is asked for.
func TestRegistryCAForChains(t *testing.T) {
	objects := componentObjects(t, "chains")
	before := len(objects)
	var err error
	for range 2 {
		if objects, err = manifest.SetRegistryCA(objects[:before], "the authority\n"); err != nil {
			t.Fatal(err)
		}
	}
	var controller, authorities *unstructured.Unstructured
	for _, obj := range objects {
		switch kube.Name(obj) {
		case "Deployment/tekton-chains/tekton-chains-controller":
			controller = obj
		case "ConfigMap/tekton-chains/config-registry-cert":
			authorities = obj
		}
	}
	if cert, _, _ := unstructured.NestedString(authorities.Object, "data", "cert"); cert != "the authority\n" {
		t.Errorf("the ConfigMap has %q", cert)
	}
	containers, _, _ := unstructured.NestedSlice(controller.Object, "spec", "template", "spec", "containers")
	container := containers[0].(map[string]any)
	volumes, _, _ := unstructured.NestedSlice(controller.Object, "spec", "template", "spec", "volumes")
	for what, has := range map[string]struct {
		list any
		name string
	}{
		"variable SSL_CERT_FILE": {container["env"], "SSL_CERT_FILE"},
		"variable SSL_CERT_DIR":  {container["env"], "SSL_CERT_DIR"},
		"mount":                  {container["volumeMounts"], "config-registry-cert"},
		"volume":                 {volumes, "config-registry-cert"},
	} {
		count := 0
		for _, item := range has.list.([]any) {
			if item.(map[string]any)["name"] == has.name {
				count++
			}
		}
		if count != 1 {
			t.Errorf("the %s is there %d times", what, count)
		}
	}
}

// A release without Chains gets no object more.
func TestRegistryCAWithoutChains(t *testing.T) {
	objects := componentObjects(t, "results")
	trusting, err := manifest.SetRegistryCA(objects, "the authority\n")
	if err != nil || len(trusting) != len(objects) {
		t.Errorf("there were %d objects and are %d (error %v)", len(objects), len(trusting), err)
	}
}

// componentObjects returns the objects of a component's release.
func componentObjects(t *testing.T, name string) []*unstructured.Unstructured {
	t.Helper()
	c, ok := release.FindComponent(name)
	if !ok {
		t.Fatalf("there is no component %q", name)
	}
	r, err := manifests.Component(c)
	if err != nil {
		t.Fatal(err)
	}
	return r.Objects
}
