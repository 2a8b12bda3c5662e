package check_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/imagetest"
)

// testInjectedImages has the controller name an image that its registry lacks, and one that is there.
func (w *world) testInjectedImages(t *testing.T) {
	server := httptest.NewServer(imagetest.Registry())
	t.Cleanup(server.Close)
	inner := *w
	inner.t, inner.registry = t, strings.TrimPrefix(server.URL, "http://")
	deployment := inner.get(live.Deployment, live.Pipelines, controller)
	containers := live.Containers(deployment)
	args, _, err := unstructured.NestedStringSlice(containers[0], "args")
	inner.check(err)
	at := -1
	for i, arg := range args {
		if arg == "-entrypoint-image" {
			at = i + 1
		}
	}
	if at < 0 {
		t.Fatalf("no argument -entrypoint-image in %q", args)
	}
	ref := inner.registry + "/entrypoint:v1"
	inner.edit(live.Deployment, live.Pipelines, controller, replaceArgument(t, at, ref))
	t.Cleanup(func() {
		inner.edit(live.Deployment, live.Pipelines, controller, replaceArgument(t, at, args[at]))
		inner.becomes(inner.get(live.Deployment, live.Pipelines, controller), true)
	})
	results, healthy := inner.run()
	inner.expect(results, "injected-images", check.Error,
		"the controller's argument -entrypoint-image names it: every TaskRun fails")
	if healthy {
		t.Error("a cluster whose every run hangs is called healthy")
	}
	imagetest.Push(t, ref, imagetest.Single(t, "linux/amd64"))
	results, _ = inner.run()
	inner.expect(results, "injected-images", check.Success, "")
}

func replaceArgument(t *testing.T, i int, value string) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/args/%d","value":%s}]`, i, text)
}

// testHangingRuns has Pods whose containers wait for images: only that of a step is Tekton's to report.
func (w *world) testHangingRuns(t *testing.T) {
	inner := *w
	inner.t = t
	for name, container := range map[string]string{"fails": "step-work", "hangs": "prepare", "waits": "sidecar-db"} {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-pod", Namespace: "default",
				Labels:      map[string]string{"tekton.dev/taskRun": name},
				Annotations: map[string]string{"tekton.dev/ready": ""}}, // the test's webhook adds to them
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: container, Image: "x.test/x"}}},
		}
		inner.check(inner.client.Create(t.Context(), pod))
		reason := "ImagePullBackOff"
		if name == "waits" {
			reason = "ErrImagePull"
		}
		pod.Status = corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
		}}}
		inner.check(inner.client.Status().Update(t.Context(), pod))
		t.Cleanup(func() { inner.check(inner.client.Delete(inner.context, pod)) })
	}
	results, _ := inner.run()
	inner.expect(results, "hanging-runs", check.Warning,
		"Pod/default/hangs-pod: container prepare waits for its image (ImagePullBackOff), which Tekton does not report: "+
			"`tekgate why taskrun hangs -n default` says why")
	problems := strings.Join(results["hanging-runs"].Problems, "\n")
	if !strings.Contains(problems, "container sidecar-db waits") || strings.Contains(problems, "step-work") {
		t.Errorf("problems %q, want those of the sidecar and of prepare alone", problems)
	}
}
