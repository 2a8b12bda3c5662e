package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/client/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	duckv1 "knative.dev/pkg/apis/duck/v1"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

// TestRun runs the example on a real API server, where the test is Tekton's controller: it ends
// the run.
func TestRun(t *testing.T) {
	c := cluster.StartEmpty(t)
	k, err := kube.Client(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	err = cluster.InstallCRDs(t.Context(), k, "github.com/tektoncd/pipeline", "config/300-crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", c.Kubeconfig)
	go end(t.Context(), versioned.NewForConfigOrDie(c.Config))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, &out); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^created default/hello-[a-z0-9]{5}\nSucceeded: All Steps have completed executing\n$`)
	if !want.MatchString(out.String()) {
		t.Errorf("the example printed\n%s", &out)
	}
}

// end ends the first run that appears.
func end(ctx context.Context, client *versioned.Clientset) {
	runs := client.TektonV1().TaskRuns("default")
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		list, err := runs.List(ctx, metav1.ListOptions{})
		if err != nil || len(list.Items) == 0 {
			continue
		}
		r := &list.Items[0]
		r.Status = v1.TaskRunStatus{Status: duckv1.Status{Conditions: duckv1.Conditions{{
			Type: apis.ConditionSucceeded, Status: corev1.ConditionTrue, Reason: "Succeeded",
			Message: "All Steps have completed executing",
		}}}}
		if _, err := runs.UpdateStatus(ctx, r, metav1.UpdateOptions{}); err == nil {
			return
		}
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
		t.Error("docs/api.md does not have the code of examples/clientset/main.go: copy it there")
	}
}
