package install

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/manifests"
)

// What Tekton published for v1.12.0, as the table has it.
const (
	publishedController = "ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.12.0@sha256:" +
		"8d5f900677386b8fe5371429e9c1461b25de47e5e34736c7f99e82e2c279ebbc"
	publishedNop = "ghcr.io/tektoncd/pipeline/nop-8eac7c133edad5df719dc37b36b62482:v1.12.0@sha256:" +
		"f89fb760b05fdef6895290e524d992b66ede72546622d5028b0406a9bea36d2f"
)

// publishedRelease returns the flags of a release whose digests the table has: the embedded one
// under the versions before. edit changes its text.
func publishedRelease(t *testing.T, edit ...string) []string {
	t.Helper()
	var flags []string
	for name, flag := range map[string]string{
		"pipeline": "--pipeline-manifest", "triggers": "--triggers-manifest", "triggers-interceptors": "--triggers-manifest",
	} {
		r, err := manifests.Tekton(name)
		if err != nil {
			t.Fatal(err)
		}
		list := &unstructured.UnstructuredList{Object: map[string]any{"apiVersion": "v1", "kind": "List"}}
		for _, obj := range r.Objects {
			list.Items = append(list.Items, *obj)
		}
		text := strings.NewReplacer("v1.15.1", "v1.12.0", "v0.37.0", "v0.36.0").Replace(clitest.JSON(t, list))
		flags = append(flags, flag, clitest.File(t, name+".json", strings.NewReplacer(edit...).Replace(text)))
	}
	return flags
}

// TestInstallPublished installs with `digest: published`: an install pins what Tekton published,
// and changes nothing where that is not known, or is not what the manifests or the mirror have.
func TestInstallPublished(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	k := kubernetes.NewForConfigOrDie(c.Config)
	install := func(mirror string, flags ...string) (string, error) {
		config := clitest.File(t, "tekgate.yaml",
			"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {digest: published, "+mirror+"}\n")
		args := append([]string{"install", "--config", config, "--kubeconfig", c.Kubeconfig, "--wait=false"}, flags...)
		_, errOut, err := program.Run(t, "", args...)
		return errOut, err
	}
	host := clitest.Mirror(t)
	own := "registry: '" + host + "/t'"
	clitest.Push(t, host+"/t/pipeline-controller:v1.12.0", clitest.Platform(t, "amd64"))
	tagged, _, _ := strings.Cut(publishedController, "@")
	other := tagged + "@sha256:" + strings.Repeat("0", 64)
	for _, tt := range []struct {
		name, mirror string
		flags        []string
		want         []string
	}{
		{"not known", "preset: upstream", []string{"--skip-probe"},
			[]string{"controller-10a3e32792f33651396d02b6855a6e36:v1.15.1: `digest: published` needs the digest",
				"eventlistenersink", "set `digest: keep`"}},
		{"not known and probed", own, nil, []string{"which this tekgate does not have"}},
		{"pinned otherwise", "preset: upstream", append(publishedRelease(t, tagged, other), "--skip-probe"),
			[]string{other + ": the manifests pin it to sha256:0000", "and Tekton published sha256:8d5f9006"}},
		{"the mirror has another", own, publishedRelease(t),
			[]string{"pipeline-controller:v1.12.0@sha256:8d5f9006", "wrong digest"}},
	} {
		errOut, err := install(tt.mirror, tt.flags...)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q\n%s", tt.name, err, want, errOut)
			}
		}
		if strings.Contains(err.Error(), "applies to no image") {
			t.Errorf("%s: the rules are in use: %v", tt.name, err)
		}
	}
	if _, err := k.CoreV1().Namespaces().Get(t.Context(), "tekton-pipelines", metav1.GetOptions{}); err == nil {
		t.Fatal("an install that was refused wrote a namespace")
	}

	if errOut, err := install("preset: upstream", append(publishedRelease(t), "--skip-probe")...); err != nil {
		t.Fatalf("%v\n%s", err, errOut)
	}
	d, err := k.AppsV1().Deployments("tekton-pipelines").Get(t.Context(), "tekton-pipelines-controller",
		metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	container := d.Spec.Template.Spec.Containers[0]
	if args := strings.Join(container.Args, " "); container.Image != publishedController ||
		!strings.Contains(args, "-nop-image "+publishedNop) {
		t.Errorf("installed %s %s", container.Image, args)
	}
	errOut, err := install("preset: upstream", append(publishedRelease(t), "--skip-probe")...)
	if again := actions(errOut); err != nil || again["unchanged"] < 140 || len(again) != 1 {
		t.Errorf("the second install did %v, error %v", again, err)
	}
}
