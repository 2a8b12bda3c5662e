package main

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
)

// mirrored is a configuration whose mirror is at a host.
func mirrored(host, former string) string {
	return fmt.Sprintf(`apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mirror:
  registry: %[1]s/hub
  layout: host-path
  former: [%[2]s]
mutator:
  kaniko: {image: "ghcr.io/osscontainertools/kaniko:v1.28.3", registryMap: {docker.io: %[1]s/hub/docker.io}}
  imageMirror: {enabled: true}
`, host, former)
}

// TestCreatedAgain creates a TaskRun once more after the mirror's address has changed: as it
// was exported, and as tkn copies it.
func TestCreatedAgain(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.configure()
	b.useMirror(mirrored("old.example.com", ""), "old.example.com")
	first := b.parse(kaniko("first", "v1"))
	b.create(first)
	b.images(first, "old.example.com/hub/docker.io/alpine/git", "old.example.com/hub/ghcr.io/osscontainertools/kaniko:v1.28.3")

	b.useMirror(mirrored("new.example.com", ""), "new.example.com")
	const git, build = "new.example.com/hub/docker.io/alpine/git", "new.example.com/hub/ghcr.io/osscontainertools/kaniko:v1.28.3"
	again := exported(first, "again")
	b.create(again)
	b.images(again, git, build)
	const originals = `{"alpine/git":"` + git + `","gcr.io/kaniko-project/executor:v1.24.0":"` + build + `"}`
	if got := again.GetAnnotations()[wellknown.OriginalImagesKey]; got != originals {
		t.Errorf("the record is %s, want %s", got, originals)
	}
	if env := environment(again); !strings.Contains(env, "KANIKO_REGISTRY_MAP=index.docker.io=new.example.com/hub/docker.io") ||
		strings.Contains(env, "old.example.com") {
		t.Errorf("its variables are %s", env)
	}
	third := exported(again, "third")
	b.create(third)
	b.images(third, git, build)
	if got := third.GetAnnotations()[wellknown.OriginalImagesKey]; got != originals {
		t.Errorf("created a third time, the record is %s", got)
	}
	b.appliedAgain(again, git, build)

	b.useMirror(mirrored("new.example.com", "{registry: old.example.com/hub, layout: host-path}"), "new.example.com")
	for _, version := range []string{"v1", "v1beta1"} {
		copied := exported(first, "copied-"+version)
		copied.SetAnnotations(nil)
		copied.SetAPIVersion("tekton.dev/" + version)
		b.create(copied)
		b.images(copied, git, build)
	}
}

// exported is what a user creates who has exported a run and given it another name.
func exported(run *unstructured.Unstructured, name string) *unstructured.Unstructured {
	again := run.DeepCopy()
	again.SetName(name)
	again.SetResourceVersion("")
	again.SetUID("")
	again.SetCreationTimestamp(metav1.Time{})
	again.SetManagedFields(nil)
	again.SetGeneration(0)
	return again
}

// useMirror has the server use a configuration whose mirror is at a host.
func (b *bed) useMirror(text, host string) {
	b.Helper()
	b.use(text)
	b.eventually("the mirror is used", func() error {
		run := b.parse(kaniko("probe", "v1"))
		if err := b.client.Create(b.Context(), run, client.DryRunAll); err != nil {
			return err
		}
		if image := imagesOf(run)[0]; !strings.HasPrefix(image, host+"/") {
			return fmt.Errorf("an image is %s", image)
		}
		return nil
	})
}

func imagesOf(run *unstructured.Unstructured) []string {
	var images []string
	steps, _, _ := unstructured.NestedSlice(run.Object, "spec", "taskSpec", "steps")
	for _, step := range steps {
		image, _ := step.(map[string]any)["image"].(string)
		images = append(images, image)
	}
	return images
}

func (b *bed) images(run *unstructured.Unstructured, want ...string) {
	b.Helper()
	if got := imagesOf(run); strings.Join(got, " ") != strings.Join(want, " ") {
		b.Errorf("the images of %s are %v, want %v", run.GetName(), got, want)
	}
}

// appliedAgain sends an update with the steps of the author's manifest: nothing may change.
func (b *bed) appliedAgain(run *unstructured.Unstructured, want ...string) {
	b.Helper()
	steps, _, _ := unstructured.NestedSlice(b.parse(kaniko("again", "v1")).Object, "spec", "taskSpec", "steps")
	if err := unstructured.SetNestedSlice(run.Object, steps, "spec", "taskSpec", "steps"); err != nil {
		b.Fatal(err)
	}
	generation := run.GetGeneration()
	if err := b.client.Update(b.Context(), run); err != nil {
		b.Fatal(err)
	}
	if b.images(run, want...); run.GetGeneration() != generation {
		b.Errorf("the specification was changed by the manifest that it came from")
	}
}
