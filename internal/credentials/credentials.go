// Package credentials puts credentials where Tekton reads them.
//
// Tekton reads a Secret only if a ServiceAccount lists it under `secrets`; the
// kubelet only if one lists it under `imagePullSecrets`; and a git Secret only if
// an annotation names its host. All three are lists that others write too, so
// everything here adds to what is there and never replaces it. Values go from
// where they are read into a Secret and nowhere else: no error, no report and no
// dry run holds one.
package credentials

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// managedBy marks the Secrets that this package may write again.
const managedBy = "tekgate-credentials"

// newSecret returns a Secret with values.
func newSecret(name, kind string, values map[string][]byte) *unstructured.Unstructured {
	data := map[string]any{}
	for key, value := range values {
		data[key] = base64.StdEncoding.EncodeToString(value)
	}
	secret := &unstructured.Unstructured{Object: map[string]any{"type": kind, "data": data}}
	secret.SetAPIVersion("v1")
	secret.SetKind("Secret")
	secret.SetName(name)
	secret.SetLabels(map[string]string{"app.kubernetes.io/managed-by": managedBy})
	return secret
}

// Masked returns an object as it may be shown: with the keys of its data, without
// their values.
func Masked(obj *unstructured.Unstructured) *unstructured.Unstructured {
	shown := obj.DeepCopy()
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"} {
		unstructured.RemoveNestedField(shown.Object, "metadata", field)
	}
	if obj.GetKind() != "Secret" {
		return shown
	}
	for _, field := range []string{"data", "stringData"} {
		values, _, _ := unstructured.NestedMap(shown.Object, field)
		for key := range values {
			_ = unstructured.SetNestedField(shown.Object, "***", field, key)
		}
	}
	return shown
}

// gitPrefix begins the annotations by which Tekton knows which hosts a Secret is
// for.
const gitPrefix = "tekton.dev/git-"

// hostAnnotations returns a Secret's git annotations with all of hosts in them.
// own are the ones that it has; taken are those of the ServiceAccount's other
// Secrets, whose numbers are not used twice, so that people can tell them apart.
func hostAnnotations(own map[string]string, taken []map[string]string, hosts []string) map[string]string {
	all := map[string]string{}
	used := map[string]bool{}
	for _, annotations := range append(taken, own) {
		for key := range annotations {
			used[key] = true
		}
	}
	for key, value := range own {
		if strings.HasPrefix(key, "tekton.dev/") {
			all[key] = value
		}
	}
	for _, host := range hosts {
		if slices.Contains(slices.Collect(maps.Values(all)), host) {
			continue
		}
		n := 0
		for used[fmt.Sprint(gitPrefix, n)] {
			n++
		}
		key := fmt.Sprint(gitPrefix, n)
		all[key], used[key] = host, true
	}
	return all
}
