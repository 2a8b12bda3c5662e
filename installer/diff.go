package installer

import (
	"context"
	"fmt"

	"github.com/aymanbagabas/go-udiff"
	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Difference is what applying an object would do.
type Difference struct {
	// Subject names the object: kind, namespace and name.
	Subject string
	Action  ssa.Action
	// Text is a unified diff of the object's YAML; empty unless the action is
	// "configured". The values of Secrets are masked.
	Text string
}

// Diff asks the server what applying each object would change, and changes
// nothing. Objects whose namespace or kind would only come with the others
// count as created.
func (c *Cluster) Diff(ctx context.Context, objects []*unstructured.Unstructured) ([]Difference, error) {
	coming := newcomers(objects)
	differences := make([]Difference, 0, len(objects))
	for _, obj := range objects {
		d, err := c.diff(ctx, obj, coming)
		if err != nil {
			return nil, fmt.Errorf("comparing %s with the cluster: %w", name(obj), err)
		}
		differences = append(differences, d)
	}
	return differences, nil
}

func (c *Cluster) diff(ctx context.Context, obj *unstructured.Unstructured, coming map[string]bool) (Difference, error) {
	created := Difference{Subject: name(obj), Action: ssa.CreatedAction}
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	err := c.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
	group, kind := obj.GroupVersionKind().Group, obj.GetKind()
	switch {
	case meta.IsNoMatchError(err) && coming[group+"/"+kind]:
		return created, nil
	case apierrors.IsNotFound(err) && coming[obj.GetNamespace()] && !c.namespaceExists(ctx, obj.GetNamespace()):
		return created, nil
	case err != nil && !apierrors.IsNotFound(err):
		return created, err
	}
	entry, before, after, err := c.manager.Diff(ctx, obj.DeepCopy(), ssa.DefaultDiffOptions())
	if err != nil {
		return created, err
	}
	d := Difference{Subject: name(obj), Action: entry.Action}
	if before != nil {
		d.Text, err = unified(d.Subject, before, after)
	}
	return d, err
}

func (c *Cluster) namespaceExists(ctx context.Context, namespace string) bool {
	ns := &unstructured.Unstructured{}
	ns.SetAPIVersion("v1")
	ns.SetKind("Namespace")
	return !apierrors.IsNotFound(c.client.Get(ctx, client.ObjectKey{Name: namespace}, ns))
}

// newcomers returns the namespaces and the "group/kind"s that objects bring.
func newcomers(objects []*unstructured.Unstructured) map[string]bool {
	coming := map[string]bool{}
	for _, obj := range objects {
		switch obj.GetKind() {
		case "Namespace":
			coming[obj.GetName()] = true
		case "CustomResourceDefinition":
			group, _, _ := unstructured.NestedString(obj.Object, "spec", "group")
			kind, _, _ := unstructured.NestedString(obj.Object, "spec", "names", "kind")
			coming[group+"/"+kind] = true
		}
	}
	return coming
}

// unified compares two versions of an object as people read them: without
// managed fields and without what the server alone writes.
func unified(subject string, before, after *unstructured.Unstructured) (string, error) {
	var texts [2]string
	for i, obj := range []*unstructured.Unstructured{before, after} {
		for _, field := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
			unstructured.RemoveNestedField(obj.Object, "metadata", field)
		}
		unstructured.RemoveNestedField(obj.Object, "status")
		text, err := yaml.Marshal(obj.Object)
		if err != nil {
			return "", err
		}
		texts[i] = string(text)
	}
	return udiff.Unified(subject+" (cluster)", subject+" (new)", texts[0], texts[1]), nil
}
