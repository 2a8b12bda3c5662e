package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/wellknown"
)

//go:embed tekgate.yaml objects
var files embed.FS

func fill(name string, values map[string]string) ([]byte, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return nil, err
	}
	for placeholder, value := range values {
		text = bytes.ReplaceAll(text, []byte(placeholder), []byte(value))
	}
	return text, nil
}

func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

const registration = "admissionregistration.k8s.io/v1"

func mutating() *unstructured.Unstructured {
	return object(registration, "MutatingWebhookConfiguration", "", wellknown.MutatingConfiguration)
}

func validating() *unstructured.Unstructured {
	return object(registration, "ValidatingWebhookConfiguration", "", wellknown.ValidatingConfiguration)
}

func clusterInterceptor() *unstructured.Unstructured {
	return object("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "tekgate")
}

// create creates the objects in one of the demo's files, and returns them as
// stored.
func (d *demo) create(
	ctx context.Context, name string, values map[string]string,
) ([]*unstructured.Unstructured, error) {
	text, err := fill("objects/"+name, values)
	if err != nil {
		return nil, err
	}
	objects, err := release.Read(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for _, obj := range objects {
		if err := d.client.Create(ctx, obj); err != nil {
			return nil, err
		}
		d.created = append(d.created, obj)
	}
	return objects, nil
}

// removeObjects deletes the demo's objects and the registrations of its servers
// from a cluster that remains. Tekton and Tekgate stay installed.
func (d *demo) removeObjects() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	gone := append(slices.Clone(d.created), mutating(), validating(), clusterInterceptor())
	var problems []error
	for _, obj := range slices.Backward(gone) {
		err := d.client.Delete(ctx, obj)
		if err != nil && !kube.Absent(err) {
			problems = append(problems, fmt.Errorf("removing %s %s: %w", obj.GetKind(), obj.GetName(), err))
		}
	}
	fmt.Fprintln(d.out, "\nTekton and Tekgate stay in your cluster; "+
		"`tekgate install` with your mirror makes its API server call Tekgate's Pods.")
	return errors.Join(problems...)
}

func (d *demo) createTaskRun(ctx context.Context) error {
	d.secret = newSecret()
	if _, err := d.create(ctx, "namespace.yaml", map[string]string{"$SECRET": d.secret}); err != nil {
		return err
	}
	text, err := fill("objects/taskrun.yaml", nil)
	if err != nil {
		return err
	}
	written, err := release.Read(bytes.NewReader(text))
	if err != nil {
		return err
	}
	stored, err := d.create(ctx, "taskrun.yaml", nil)
	if err != nil {
		return err
	}
	difference, err := specDiff(written[0], stored[0])
	if err != nil {
		return err
	}
	if difference == "" {
		return fmt.Errorf("the TaskRun was stored as it was written: the admission server did nothing")
	}
	for line := range strings.Lines(difference) {
		d.say("%s", strings.TrimSuffix(line, "\n"))
	}
	return nil
}

// specDiff compares what was written with what was stored.
func specDiff(written, stored *unstructured.Unstructured) (string, error) {
	var texts [2]string
	for i, obj := range []*unstructured.Unstructured{written, stored} {
		text, err := yaml.Marshal(map[string]any{"spec": obj.Object["spec"]})
		if err != nil {
			return "", err
		}
		texts[i] = string(text)
	}
	const name = "TaskRun/build-image"
	return udiff.Unified(name+" (as written)", name+" (as stored)", texts[0], texts[1]), nil
}

func (d *demo) refuseEventListener(ctx context.Context) error {
	_, err := d.create(ctx, "eventlistener.yaml", nil)
	if err == nil {
		return fmt.Errorf("the API server accepted the broken EventListener")
	}
	if !strings.Contains(err.Error(), "tekgate.dev") {
		return err
	}
	for line := range strings.Lines(err.Error()) {
		d.say("%s", strings.TrimSuffix(line, "\n"))
	}
	return nil
}

func (d *demo) acceptEventListener(ctx context.Context) error {
	if _, err := d.create(ctx, "binding-and-template.yaml", nil); err != nil {
		return err
	}
	stored, err := d.create(ctx, "eventlistener.yaml", nil)
	if err != nil {
		return err
	}
	d.say("EventListener %s is accepted", client.ObjectKeyFromObject(stored[0]))
	return nil
}
