package hook

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// TestScaffoldKaniko takes Kaniko's image from the cluster, where it has one and no flag names
// another, and never fails for want of a cluster.
func TestScaffoldKaniko(t *testing.T) {
	c := cluster.StartEmpty(t)
	k, err := client.New(c.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kaniko := func(args ...string) (image, said string) {
		t.Helper()
		out, errOut, err := hookTool(t, append([]string{"scaffold", "--repo=https://gitee.com/team/app", "--image=app"},
			args...)...)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(out, "- name: build-push\n    image: ")
		image, _, _ = strings.Cut(rest, "\n")
		return strings.Trim(image, `"`), errOut
	}
	configure := func(image string) {
		t.Helper()
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: wellknown.ConfigMap}}
		if err := client.IgnoreNotFound(k.Delete(t.Context(), cm.DeepCopy())); err != nil {
			t.Fatal(err)
		}
		cm.Data = map[string]string{wellknown.ConfigMapKey: "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n" +
			"mutator: {kaniko: {image: '" + image + "'}}\n"}
		if err := k.Create(t.Context(), cm); err != nil {
			t.Fatal(err)
		}
	}
	live := "--kubeconfig=" + c.Kubeconfig

	if image, _ := kaniko(live); image != defaultKaniko {
		t.Errorf("without Tekgate: %s", image)
	}
	err = k.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tekgate"}})
	if err != nil {
		t.Fatal(err)
	}
	configure("registry.example.com/house/kaniko:v9")
	image, said := kaniko(live)
	if image != "registry.example.com/house/kaniko:v9" || !strings.Contains(said, "mutator.kaniko.image") {
		t.Errorf("with a tag: %s\n%s", image, said)
	}
	configure("registry.example.com/house/kaniko")
	if image, _ := kaniko(live); image != "registry.example.com/house/kaniko:v1.28.3" {
		t.Errorf("with a repository: %s", image)
	}
	if image, _ := kaniko(live, "--kaniko-image=registry.example.com/mine:v1"); image != "registry.example.com/mine:v1" {
		t.Errorf("with a flag: %s", image)
	}
	if image, said := kaniko("--kubeconfig=" + c.Kubeconfig + ".gone"); image != defaultKaniko ||
		!strings.Contains(said, "could not be read") {
		t.Errorf("with a kubeconfig that is not there: %s\n%s", image, said)
	}
}
