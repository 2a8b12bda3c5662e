package cluster_test

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// A test gets the server of the test before it, without what that one has made.
func TestPool(t *testing.T) {
	pool := cluster.NewPool()
	var first *cluster.Cluster
	t.Run("first", func(t *testing.T) {
		first = pool.Start(t)
		k := kubernetes.NewForConfigOrDie(first.Config)
		_, err := k.CoreV1().Namespaces().Create(
			t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "made"}},
			metav1.CreateOptions{},
		)
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.CoordinationV1().Leases("made").Create(
			t.Context(),
			&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "made"}},
			metav1.CreateOptions{},
		)
		if err != nil {
			t.Fatal(err)
		}
		for _, namespace := range []string{"made", "default"} {
			held := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/held"}},
			}
			_, err := k.CoreV1().ConfigMaps(namespace).Create(t.Context(), held, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("second", func(t *testing.T) {
		t.Cleanup(func() { _ = first.Stop() })
		second := pool.Start(t)
		if second != first {
			t.Fatal("it has another server")
		}
		leases := kubernetes.NewForConfigOrDie(second.Config).CoordinationV1().Leases("made")
		if _, err := leases.Get(t.Context(), "made", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the Lease is still there: %v", err)
		}
		k := kubernetes.NewForConfigOrDie(second.Config).CoreV1()
		_, err := k.Namespaces().Get(t.Context(), "made", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("the namespace is still there: %v", err)
		}
		_, err = k.ConfigMaps("default").Get(t.Context(), "held", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("the ConfigMap is still there: %v", err)
		}
	})
}
