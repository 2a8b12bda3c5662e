package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned"
	"github.com/tektoncd/pipeline/pkg/client/informers/externalversions"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/connrotation"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// TestPitfalls holds what docs/api.md says of clients and informers.
func TestPitfalls(t *testing.T) {
	s := newSite(t)
	t.Run("resync", s.resync)
	t.Run("rate limit", s.rateLimit)
	t.Run("status subresource", s.statusSubresource)
	t.Run("relist", s.relist)
	t.Run("removed version", s.removedVersion) // the last, because it changes the definition
}

// removedVersion holds what docs/api.md says of an informer of a version that is removed: it
// keeps its old content, gets nothing new, and only its error handler notices.
func (s *site) removedVersion(t *testing.T) {
	s.create("removedversion")
	factory := externalversions.NewSharedInformerFactory(s.tekton, 0)
	informer := factory.Tekton().V1beta1().PipelineRuns().Informer()
	var missing atomic.Int32
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		if apierrors.IsNotFound(err) {
			missing.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("the informer has not synced")
	}
	s.removeBeta()
	eventually(t, "the error handler learns of it", func() bool { return missing.Load() > 0 })
	s.create("removedversion-2")
	time.Sleep(3 * time.Second)
	keys := informer.GetStore().ListKeys()
	if slices.Contains(keys, "default/removedversion-2") || !slices.Contains(keys, "default/removedversion") ||
		!informer.HasSynced() {
		t.Errorf("the informer has %v, synced: %v", keys, informer.HasSynced())
	}
}

// removeBeta ends the serving of v1beta1.
func (s *site) removeBeta() {
	s.t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	if err := s.client.Get(s.t.Context(), client.ObjectKey{Name: "pipelineruns.tekton.dev"}, crd); err != nil {
		s.t.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for i, v := range versions {
		if version, ok := v.(map[string]any); ok && version["name"] == "v1beta1" {
			patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/versions/%d/served","value":false}]`, i)
			err := s.client.Patch(s.t.Context(), crd, client.RawPatch(types.JSONPatchType, []byte(patch)))
			if err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
	s.t.Fatal("v1beta1 is not there")
}

// resync holds that a resync reports what is in the cache, not what is on the server.
func (s *site) resync(t *testing.T) {
	s.create("resync")
	factory := externalversions.NewSharedInformerFactory(s.tekton, time.Second)
	informer := factory.Tekton().V1().PipelineRuns().Informer()
	var same atomic.Int32
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{UpdateFunc: func(old, obj any) {
		if old == obj {
			same.Add(1)
		}
	}}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	factory.Start(ctx.Done())
	eventually(t, "the same object is reported again", func() bool { return same.Load() > 1 })
}

// relist holds that an object which was deleted during an outage is reported without its
// last state.
func (s *site) relist(t *testing.T) {
	s.create("relist")
	var blocked atomic.Bool
	dialer := connrotation.NewDialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		if blocked.Load() {
			return nil, errors.New("the network is down")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	})
	config := rest.CopyConfig(s.cluster.Config)
	config.Dial = dialer.DialContext
	factory := externalversions.NewSharedInformerFactory(versioned.NewForConfigOrDie(config), 0)
	informer := factory.Tekton().V1().PipelineRuns().Informer()
	deleted := make(chan any, 1)
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		DeleteFunc: func(obj any) { deleted <- obj },
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("the informer has not synced")
	}
	blocked.Store(true)
	dialer.CloseAll()
	if err := s.tekton.TektonV1().PipelineRuns("default").Delete(ctx, "relist", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// An API server that was started again has no events of before, so the informer lists again.
	if err := s.cluster.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	if err := s.cluster.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	blocked.Store(false)
	select {
	case obj := <-deleted:
		if last, ok := obj.(cache.DeletedFinalStateUnknown); !ok || last.Key != "default/relist" {
			t.Errorf("what was deleted is %#v", obj)
		}
	case <-time.After(time.Minute):
		t.Error("the deletion was not reported")
	}
}

// rateLimit holds that a client without settings sends ten requests at once and then five a
// second.
func (s *site) rateLimit(t *testing.T) {
	took := func(config *rest.Config) time.Duration {
		runs := versioned.NewForConfigOrDie(config).TektonV1().PipelineRuns("default")
		began := time.Now()
		for range 20 {
			if _, err := runs.List(t.Context(), metav1.ListOptions{Limit: 1}); err != nil {
				t.Fatal(err)
			}
		}
		return time.Since(began)
	}
	limited := rest.CopyConfig(s.cluster.Config)
	limited.QPS, limited.Burst = 0, 0 // what clientcmd leaves
	raised := rest.CopyConfig(limited)
	raised.QPS, raised.Burst = 100, 200
	if slow, fast := took(limited), took(raised); slow < 1500*time.Millisecond || fast > slow/2 {
		t.Errorf("20 requests take %s with the default limit and %s with a higher one", slow, fast)
	}
}

// statusSubresource holds that Update leaves the status alone, UpdateStatus all else, and that
// an old copy is refused.
func (s *site) statusSubresource(t *testing.T) {
	runs := s.tekton.TektonV1().PipelineRuns("default")
	old := s.create("statussubresource")
	r := old.DeepCopy()
	r.Labels = map[string]string{"app": "web"}
	r.Status = condition("Running")
	r, err := runs.Update(t.Context(), r, metav1.UpdateOptions{})
	if err != nil || r.Labels["app"] != "web" || len(r.Status.Conditions) != 0 {
		t.Errorf("Update returns labels %v and conditions %v, error %v", r.Labels, r.Status.Conditions, err)
	}
	r.Labels["app"] = "db"
	r.Status = condition("Running")
	r, err = runs.UpdateStatus(t.Context(), r, metav1.UpdateOptions{})
	if err != nil || r.Labels["app"] != "web" || len(r.Status.Conditions) != 1 {
		t.Errorf("UpdateStatus returns labels %v and conditions %v, error %v", r.Labels, r.Status.Conditions, err)
	}
	if _, err := runs.UpdateStatus(t.Context(), old, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("the status of an old copy: %v", errors.Unwrap(err))
	}
}
