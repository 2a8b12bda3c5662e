package registries_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/registries"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/registry"
)

// lookup makes Pods as Tekton's controller does, whose own code looks up what images start.
type lookup struct{ program, kubeconfig string }

func newLookup(t *testing.T) lookup {
	t.Helper()
	program, err := tekton.BuildLookup(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster.StartEmpty(t)
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: "default"}}
	_, err = client.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	return lookup{program, c.Kubeconfig}
}

// fails returns why the controller makes no Pod of a step, or "".
func (l lookup) fails(t *testing.T, image string, command ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), l.program,
		append([]string{l.kubeconfig, image}, command...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestTektonAsVerified holds that a warning says that Tekton cannot start a step exactly if Tekton's
// own look-up fails. Such a step starts if it has a command.
func TestTektonAsVerified(t *testing.T) {
	controller := newLookup(t)
	each(t, func(t *testing.T, program registries.Program) {
		mirror := registries.Start(t, program, registries.Options{Platforms: "none"})
		whole := index(t, "amd64", "arm64")
		twins := mutate.AppendManifests(whole, mutate.IndexAddendum{Add: member(t, index(t, "amd64")),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}}})
		push(t, mirror.Host+"/app:whole", whole)
		push(t, mirror.Host+"/app:twins", twins)
		names := map[string]string{"whole": "", "twins": "Tekton may not find the command"}
		if partly(t, index(t, "amd64", "arm64"), mirror.Host+"/app:partial") {
			names["partial"] = "Tekton cannot start a step"
		}
		if partly(t, index(t, "amd64", "unknown"), mirror.Host+"/app:attested") {
			names["attested"] = "nodes and Tekton do without it"
		}
		for name, warning := range names {
			at := mirror.Host + "/app:" + name
			got := verify(t, at, "linux/amd64")
			said := strings.Join(got.Warnings, "\n")
			if got.Status != registry.StatusOK || (warning == "") != (said == "") || !strings.Contains(said, warning) {
				t.Errorf("%s: %s: %v: %q, want %q", name, got.Status, got.Err, said, warning)
			}
			fails := name == "twins" || name == "partial"
			if why := controller.fails(t, at); (why != "") != fails {
				t.Errorf("%s: Tekton: %s", name, why)
			}
			if why := controller.fails(t, at, "/run"); why != "" {
				t.Errorf("%s with a command: Tekton: %s", name, why)
			}
		}
	})
}

// member returns the first image of an index.
func member(t *testing.T, all v1.ImageIndex) v1.Image {
	t.Helper()
	manifest, err := all.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := all.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}
