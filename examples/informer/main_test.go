package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

// site is an API server with Tekton's kinds.
type site struct {
	t       *testing.T
	cluster *cluster.Cluster
	client  client.Client
	tekton  *versioned.Clientset
}

func newSite(t *testing.T) *site {
	t.Helper()
	c := cluster.StartEmpty(t)
	k, err := kube.Client(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	err = cluster.InstallCRDs(t.Context(), k, "github.com/tektoncd/pipeline", "config/300-crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, c, k, versioned.NewForConfigOrDie(kube.Unthrottled(c.Config))}
}

// create creates a PipelineRun.
func (s *site) create(name string) *v1.PipelineRun {
	s.t.Helper()
	created, err := s.tekton.TektonV1().PipelineRuns("default").Create(s.t.Context(), &v1.PipelineRun{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.PipelineRunSpec{PipelineRef: &v1.PipelineRef{Name: "build"}},
	}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	return created
}

// condition returns a status with this reason.
func condition(reason string) v1.PipelineRunStatus {
	return v1.PipelineRunStatus{Status: duckv1.Status{Conditions: duckv1.Conditions{{
		Type: apis.ConditionSucceeded, Status: corev1.ConditionUnknown, Reason: reason,
	}}}}
}

// set sets the status of a run.
func (s *site) set(name, reason string) {
	s.t.Helper()
	runs := s.tekton.TektonV1().PipelineRuns("default")
	r, err := runs.Get(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	r.Status = condition(reason)
	if _, err := runs.UpdateStatus(s.t.Context(), r, metav1.UpdateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// TestRun runs the example on a real API server.
func TestRun(t *testing.T) {
	s := newSite(t)
	s.create("first")
	s.set("first", "Running")
	t.Setenv("KUBECONFIG", s.cluster.Kubeconfig)
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, writer) }()
	lines := bufio.NewScanner(reader)
	expect := func(want ...string) {
		t.Helper()
		left := map[string]bool{}
		for _, line := range want {
			left[line] = true
		}
		for range want {
			if !lines.Scan() || !left[lines.Text()] {
				t.Fatalf("got %q, want %q", lines.Text(), want)
			}
			delete(left, lines.Text())
		}
	}
	expect("default/first Running", "1 runs exist")
	s.create("second")
	expect("default/second ")
	s.set("first", "Completed")
	expect("default/first Completed")
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the example does not end")
	}
}

// TestPage holds docs/api.md to this program.
func TestPage(t *testing.T) {
	code, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```go\n"+string(code)+"```\n") {
		t.Error("docs/api.md does not have the code of examples/informer/main.go: copy it there")
	}
}
