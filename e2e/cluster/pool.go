package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Pool shares API servers between the tests of a package: a server that a test is done
// with is emptied and given to another test. Tests that run in parallel get different
// servers.
type Pool struct {
	idle  chan *pooled
	start func(ctx context.Context) (*Cluster, error)
}

// NewPool returns an empty pool.
func NewPool() *Pool {
	return newPool(func(ctx context.Context) (*Cluster, error) { return New(ctx, os.Stderr) })
}

// NewAuditedPool is NewPool for API servers that record their requests; see Cluster.Requests.
func NewAuditedPool() *Pool { return newPool(newAudited) }

func newPool(start func(context.Context) (*Cluster, error)) *Pool {
	return &Pool{idle: make(chan *pooled, 16), start: start}
}

// Main runs the tests of a package, stops the servers, and returns the exit status.
func (p *Pool) Main(m *testing.M) int {
	code := m.Run()
	close(p.idle)
	var stopping errgroup.Group
	for server := range p.idle {
		stopping.Go(server.Stop)
	}
	if err := stopping.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Start gives one test a control plane with nothing in it. A cluster that exists already
// is not emptied.
func (p *Pool) Start(t testing.TB) *Cluster {
	t.Helper()
	server, err := p.take()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if server.Existing() {
			return
		}
		if err := server.reset(); err != nil {
			t.Errorf("emptying the API server: %v", errors.Join(err, server.Stop()))
			return
		}
		p.idle <- server
	})
	return server.Cluster
}

func (p *Pool) take() (*pooled, error) {
	select {
	case server := <-p.idle:
		return server, nil
	default:
	}
	c, err := p.start(context.Background())
	if err != nil || c.Existing() {
		return &pooled{Cluster: c}, err
	}
	server, err := newPooled(c)
	if err != nil {
		err = errors.Join(err, c.Stop())
	}
	return server, err
}

// pooled is a server and what was in it when it was new.
type pooled struct {
	*Cluster
	discovery  discovery.DiscoveryInterface
	metadata   metadata.Interface
	kubernetes kubernetes.Interface
	served     map[schema.GroupVersionResource]bool
	objects    map[types.UID]bool
	namespaces []corev1.Namespace
}

func newPooled(c *Cluster) (*pooled, error) {
	config := rest.CopyConfig(c.Config)
	config.QPS = -1
	s := &pooled{Cluster: c}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	s.kubernetes, s.discovery = client, client.Discovery()
	if s.metadata, err = metadata.NewForConfig(config); err != nil {
		return nil, err
	}
	if s.served, err = s.resources(); err != nil {
		return nil, err
	}
	namespaces, err := s.kubernetes.CoreV1().Namespaces().List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	s.namespaces = namespaces.Items
	all, err := s.list(context.Background(), s.served)
	s.objects = map[types.UID]bool{}
	for _, found := range all {
		s.objects[found.uid] = true
	}
	return s, err
}

// resources returns what the server can list and delete.
func (s *pooled) resources() (map[schema.GroupVersionResource]bool, error) {
	lists, err := s.discovery.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("listing the server's kinds: %w", err)
	}
	all := map[schema.GroupVersionResource]bool{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") &&
				!slices.Contains(serversOwn, r.Name) {
				all[version.WithResource(r.Name)] = true
			}
		}
	}
	return all, nil
}

// serversOwn are resources that the server itself writes.
var serversOwn = []string{
	"apiservices", "componentstatuses", "endpoints", "events", "flowschemas", "ipaddresses", "leasecandidates",
	"prioritylevelconfigurations", "servicecidrs",
}

// mixed are resources of which the server itself writes some in kube-system.
var mixed = []string{"configmaps", "leases"}

// thing is an object of the server.
type thing struct {
	resource        schema.GroupVersionResource
	namespace, name string
	uid             types.UID
	finalizers      bool
}

// list returns the objects of resources that users may have made.
func (s *pooled) list(ctx context.Context, resources map[schema.GroupVersionResource]bool) ([]thing, error) {
	var all []thing
	for resource := range resources {
		list, err := s.metadata.Resource(resource).List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
			continue // it is being removed
		}
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", resource.Resource, err)
		}
		for _, obj := range list.Items {
			if obj.Namespace == metav1.NamespaceSystem && slices.Contains(mixed, resource.Resource) {
				continue
			}
			all = append(all, thing{resource, obj.Namespace, obj.Name, obj.UID, len(obj.Finalizers) > 0})
		}
	}
	return all, nil
}

const resetTimeout = time.Minute

// reset removes what a test has made, and waits until the server no longer has it.
func (s *pooled) reset() error {
	ctx, cancel := context.WithTimeout(context.Background(), resetTimeout)
	defer cancel()
	for {
		left, err := s.clean(ctx)
		if err == nil && left == "" {
			return s.restoreNamespaces(ctx)
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("after %s the server still has %s", resetTimeout, left))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// clean deletes once, and returns what was there to delete.
func (s *pooled) clean(ctx context.Context) (left string, err error) {
	served, err := s.resources()
	if err != nil {
		return "a kind that is going", err
	}
	all, err := s.list(ctx, served)
	if err != nil {
		return "objects", err
	}
	all = slices.DeleteFunc(all, func(t thing) bool { return s.objects[t.uid] })
	if len(all) == 0 {
		maps.DeleteFunc(served, func(r schema.GroupVersionResource, _ bool) bool { return s.served[r] })
		for r := range served {
			return "the kind " + r.String(), nil
		}
		return "", nil
	}
	for _, now := range phases(all) {
		tasks, ctx := errgroup.WithContext(ctx)
		tasks.SetLimit(8)
		for _, t := range now {
			tasks.Go(func() error { return s.delete(ctx, t) })
		}
		if err := tasks.Wait(); err != nil {
			return all[0].name, err
		}
	}
	return all[0].resource.Resource + " " + all[0].name, nil
}

// phases sorts objects by when they are deleted: first what may refuse deletions, and
// last what contains others.
func phases(all []thing) [3][]thing {
	var sorted [3][]thing
	for _, t := range all {
		switch {
		case t.resource.Group == "admissionregistration.k8s.io":
			sorted[0] = append(sorted[0], t)
		case t.resource.Resource == "namespaces", t.resource.Resource == "customresourcedefinitions":
			sorted[2] = append(sorted[2], t)
		default:
			sorted[1] = append(sorted[1], t)
		}
	}
	return sorted
}

func (s *pooled) delete(ctx context.Context, t thing) error {
	objects := s.metadata.Resource(t.resource).Namespace(t.namespace)
	immediately := int64(0)
	err := objects.Delete(ctx, t.name, metav1.DeleteOptions{GracePeriodSeconds: &immediately})
	switch {
	case err != nil:
	case t.resource.Resource == "namespaces":
		// No controller does it beside a bare API server.
		_, err = s.kubernetes.CoreV1().Namespaces().Finalize(ctx, &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{Name: t.name},
		}, metav1.UpdateOptions{})
	case t.finalizers && t.resource.Resource != "customresourcedefinitions":
		_, err = objects.Patch(
			ctx,
			t.name,
			types.MergePatchType,
			[]byte(`{"metadata":{"finalizers":null}}`),
			metav1.PatchOptions{},
		)
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsMethodNotSupported(err) {
		return nil
	}
	return err
}

// restoreNamespaces takes back changes of the namespaces that the server came with.
func (s *pooled) restoreNamespaces(ctx context.Context) error {
	for _, was := range s.namespaces {
		now, err := s.kubernetes.CoreV1().Namespaces().Get(ctx, was.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if maps.Equal(now.Labels, was.Labels) && maps.Equal(now.Annotations, was.Annotations) {
			continue
		}
		now.Labels, now.Annotations = was.Labels, was.Annotations
		if _, err := s.kubernetes.CoreV1().Namespaces().Update(ctx, now, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	return nil
}
