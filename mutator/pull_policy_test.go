package mutator_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	controlplane "github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/image"
)

// An image from the mirror is pulled as often as the one that the author wrote: the API server takes
// the default of imagePullPolicy from the reference, as docs/mutation.md says.
func TestPullPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts an API server, which -short does without")
	}
	c, err := client.New(controlplane.StartEmpty(t).Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policy := func(image string) corev1.PullPolicy {
		t.Helper()
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
		if err := c.Create(t.Context(), pod, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		return pod.Spec.Containers[0].ImagePullPolicy
	}
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	rules := map[string]image.Mirror{
		"keep": {Rules: []image.Rule{{Match: "**", To: image.Targets{"r.example.com:5000/hub/{path}"}}}},
		"drop": {Rules: []image.Rule{{Match: "**", To: image.Targets{"r.example.com:5000/hub/{path}"},
			Digest: image.DigestDrop}}},
		"fixed": {Rules: []image.Rule{{Match: "**", To: image.Targets{"r.example.com/{path}:stable"}}}},
	}
	for written, want := range map[string]corev1.PullPolicy{
		"a/b": "Always", "a/b:latest": "Always", "a/b:v1": "IfNotPresent", "a/b" + digest: "IfNotPresent",
		"a/b:v1" + digest: "IfNotPresent", "a/b:latest" + digest: "Always", "a/b:LATEST": "IfNotPresent",
		"reg.test:5000/a/b": "Always", "reg.test:5000/a/b" + digest: "IfNotPresent",
	} {
		if got := policy(written); got != want {
			t.Errorf("%s: %s, want %s", written, got, want)
		}
		for name, mirror := range rules {
			compiled, err := mirror.Compile()
			if err != nil {
				t.Fatal(err)
			}
			ref, err := image.Parse(written)
			if err != nil {
				t.Fatal(err)
			}
			done, err := compiled.Rewrite(ref)
			if err != nil {
				t.Fatal(err)
			}
			wanted := want
			if name == "fixed" { // another tag in place of latest, as the page warns
				wanted = "IfNotPresent"
			}
			if got := policy(done.To.String()); got != wanted || !strings.HasPrefix(done.To.Host, "r.example.com") {
				t.Errorf("%s becomes %s: %s, want %s", written, done.To, got, wanted)
			}
		}
	}
}
