package clitest

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// Site is a cluster to install into and to look at.
type Site struct {
	T          *testing.T
	Program    Program
	Client     client.Client
	Kubeconfig []string // the flag
}

// NewSite returns a site on an API server.
func NewSite(t *testing.T, p Program, config *rest.Config, kubeconfig string) *Site {
	t.Helper()
	k, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	endNamespaces(t, config)
	return &Site{T: t, Program: p, Client: k, Kubeconfig: []string{"--kubeconfig", kubeconfig}}
}

// As returns the site for another test.
func (s *Site) As(t *testing.T) *Site {
	other := *s
	other.T = t
	return &other
}

// endNamespaces ends namespaces that are deleted, in place of the namespace controller,
// which does not run beside a bare API server.
func endNamespaces(t *testing.T, config *rest.Config) {
	k := kubernetes.NewForConfigOrDie(config)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
			list, err := k.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for i := range list.Items {
				if ns := &list.Items[i]; ns.DeletionTimestamp != nil {
					ns.Spec.Finalizers = []corev1.FinalizerName{}
					_, _ = k.CoreV1().Namespaces().Finalize(ctx, ns, metav1.UpdateOptions{})
				}
			}
		}
	}()
}

// Install installs a release without its images.
func (s *Site) Install() {
	s.T.Helper()
	s.Program.Must(s.T,
		append([]string{"install", "--mirror", "registry.example.com/tekton", "--skip-probe", "--wait=false"},
			s.Kubeconfig...)...)
}

// Uninstall uninstalls, and returns what it printed.
func (s *Site) Uninstall(args ...string) (string, error) {
	s.T.Helper()
	_, talk, err := s.Program.Run(s.T, "", append(append([]string{"uninstall"}, s.Kubeconfig...), args...)...)
	return talk, err
}

// Create creates objects, and those of a new kind as soon as that is served.
func (s *Site) Create(text string) {
	s.T.Helper()
	objects, err := release.Read(strings.NewReader(text))
	if err != nil {
		s.T.Fatal(err)
	}
	for _, obj := range objects {
		s.Eventually(obj.GetKind()+" is served", func() bool {
			err = s.Client.Create(s.T.Context(), obj)
			return !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err)
		})
		if err != nil {
			s.T.Fatal(err)
		}
	}
}

// Has reports whether an object exists.
func (s *Site) Has(named string) bool {
	s.T.Helper()
	obj := ObjectOf(named)
	err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(obj), obj)
	if err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
		s.T.Fatal(err)
	}
	return err == nil
}

// Delete deletes an object.
func (s *Site) Delete(named string) {
	s.T.Helper()
	if err := s.Client.Delete(s.T.Context(), ObjectOf(named)); err != nil {
		s.T.Fatal(err)
	}
}

// ObjectOf returns an object by "apiVersion Kind namespace/name".
func ObjectOf(named string) *unstructured.Unstructured {
	parts := strings.Fields(named)
	namespace, name, found := strings.Cut(parts[2], "/")
	if !found {
		namespace, name = "", parts[2]
	}
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(parts[0])
	obj.SetKind(parts[1])
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

// Expect checks that objects are present, or that they are absent.
func (s *Site) Expect(present bool, named ...string) {
	s.T.Helper()
	for _, n := range named {
		if s.Has(n) != present {
			s.T.Errorf("%s: present is %v, want %v", n, !present, present)
		}
	}
}

// Patch applies a merge patch.
func (s *Site) Patch(named, patch string) {
	s.T.Helper()
	if err := s.Client.Patch(s.T.Context(), ObjectOf(named),
		client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.T.Fatal(err)
	}
}

// Eventually waits for a condition.
func (s *Site) Eventually(what string, is func() bool) {
	s.T.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.T.Fatalf("waited in vain until %s", what)
		}
	}
}

// TektonKinds creates Tekton's kinds, without the conversion that needs a running Tekton.
func (s *Site) TektonKinds() {
	s.T.Helper()
	for _, name := range []string{"pipeline", "triggers"} {
		release, err := manifests.Tekton(name)
		if err != nil {
			s.T.Fatal(err)
		}
		for _, obj := range release.Objects {
			if obj.GetKind() != "CustomResourceDefinition" {
				continue
			}
			unstructured.RemoveNestedField(obj.Object, "spec", "conversion")
			if err := s.Client.Create(s.T.Context(), obj); err != nil {
				s.T.Fatal(err)
			}
		}
	}
	s.Create(
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton-pipelines}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ci}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
	for _, served := range [][2]string{{"tekton.dev/v1", "TaskRunList"}, {"tekton.dev/v1", "TaskList"},
		{"triggers.tekton.dev/v1beta1", "TriggerTemplateList"}} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(served[0])
		list.SetKind(served[1])
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			if err := s.Client.List(s.T.Context(), list); err == nil {
				break
			} else if time.Now().After(deadline) {
				s.T.Fatal(err)
			}
		}
	}
}

// Newer makes the Tekton of a cluster with TektonKinds a made-up later one: Tasks have a field spec.cache, keep any
// field in their steps, and are served as v2, too.
func (s *Site) Newer() {
	s.T.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	if err := s.Client.Get(s.T.Context(), client.ObjectKey{Name: "tasks.tekton.dev"}, crd); err != nil {
		s.T.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	var v2 map[string]any
	for _, version := range versions {
		fields := version.(map[string]any)
		spec := []string{"schema", "openAPIV3Schema", "properties", "spec", "properties"}
		cache := map[string]any{"type": "object",
			"properties": map[string]any{"image": map[string]any{"type": "string"}}}
		err := unstructured.SetNestedMap(fields, cache, append(spec, "cache")...)
		if err == nil {
			err = unstructured.SetNestedField(fields, true, append(spec, "steps", "items",
				"x-kubernetes-preserve-unknown-fields")...)
		}
		if err != nil {
			s.T.Fatal(err)
		}
		v2 = (&unstructured.Unstructured{Object: fields}).DeepCopy().Object
		v2["name"], v2["served"], v2["storage"] = "v2", true, false
	}
	if err := unstructured.SetNestedSlice(crd.Object, append(versions, v2), "spec", "versions"); err != nil {
		s.T.Fatal(err)
	}
	if err := s.Client.Update(s.T.Context(), crd); err != nil {
		s.T.Fatal(err)
	}
	s.Create("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pipelines-info, namespace: tekton-pipelines}\n" +
		"data: {version: v1.17.0}\n")
	s.Eventually("Tasks are served as v2", func() bool {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion("tekton.dev/v2")
		list.SetKind("TaskList")
		return s.Client.List(s.T.Context(), list) == nil
	})
}
