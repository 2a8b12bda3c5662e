package manifest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	where "github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// The tests of this file are named after what makes a naive installer's
// rewriting fail.

func tekton(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, m := range release.Manifests {
		r, err := manifests.Tekton(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Objects...)
	}
	return all
}

func rewritten(t *testing.T, mirror string, objs []*unstructured.Unstructured) []image.Rewritten {
	t.Helper()
	images, err := manifest.Rewrite(objs, rules(t, image.Shorthand(mirror)))
	if err != nil {
		t.Fatal(err)
	}
	return images
}

// places returns the images of a release by where they stand.
func places(objs []*unstructured.Unstructured) map[string]string {
	found := map[string]string{}
	for _, obj := range objs {
		for _, field := range where.Images(obj.Object) {
			found[obj.GetName()+" "+field.Path] = field.Value
		}
	}
	return found
}

func TestTrap01_MostImagesStandInArguments(t *testing.T) {
	objs := tekton(t)
	rewritten(t, mirrorHost+"/t", objs)
	arguments := 0
	for place, value := range places(objs) {
		if !strings.HasPrefix(value, mirrorHost+"/t/") {
			t.Errorf("%s is still %s", place, value)
		}
		if strings.Contains(place, ".args[") {
			arguments++
		}
	}
	if arguments != 7 {
		t.Errorf("%d images stand in arguments, want 7", arguments)
	}
}

// Pipelines' resolvers run in a container that is called controller too, so
// whatever goes by a container's name mixes them up.
func TestTrap01_TwoContainersAreCalledController(t *testing.T) {
	objs := tekton(t)
	rewritten(t, mirrorHost, objs)
	found := places(objs)
	controller := found["tekton-pipelines-controller spec.template.spec.containers[0].image"]
	resolvers := found["tekton-pipelines-remote-resolvers spec.template.spec.containers[0].image"]
	if controller != mirrorHost+"/pipeline-controller:v1.15.1" ||
		resolvers != mirrorHost+"/pipeline-resolvers:v1.15.1" {
		t.Errorf("controller %q, resolvers %q", controller, resolvers)
	}
}

func pod(images ...string) string {
	var text strings.Builder
	text.WriteString("apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\nspec:\n  containers:\n")
	for _, i := range images {
		text.WriteString("  - {name: c, image: '" + i + "'}\n")
	}
	return text.String()
}

const pin = "@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791"

func TestTrap02_ClosedRegistryIsAskedUnderItsLivingName(t *testing.T) {
	objs := objects(
		t,
		pod(
			"gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.3"+pin,
			"eu.gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/entrypoint:v0.27.3",
		),
	)
	for _, done := range rewritten(t, "daocloud", objs) {
		if !strings.HasPrefix(done.To.String(), "m.daocloud.io/ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/") {
			t.Errorf("%s becomes %s, which cannot be fetched", done.From, done.To)
		}
	}
}

// controller and webhook exist in Pipelines and in Triggers: without the
// component a flat mirror would hold one of each.
func TestTrap03_ComponentsDoNotCollide(t *testing.T) {
	objs := tekton(t)
	targets := map[string]string{}
	for _, done := range rewritten(t, mirrorHost, objs) {
		if first, taken := targets[done.To.Repository()]; taken {
			t.Errorf("%s and %s share %s", first, done.From, done.To)
		}
		targets[done.To.Repository()] = done.From.String()
	}
	for _, want := range []string{
		"pipeline-controller", "triggers-controller", "pipeline-webhook", "triggers-webhook",
	} {
		if targets[mirrorHost+"/"+want] == "" {
			t.Errorf("there is no %s among %v", want, targets)
		}
	}
}

func TestTrap06_TagAndDigestBothSurvive(t *testing.T) {
	objs := objects(t, pod("ghcr.io/a/b:v1"+pin))
	rewritten(t, mirrorHost, objs)
	if got := places(objs)["p spec.containers[0].image"]; got != mirrorHost+"/b:v1"+pin {
		t.Errorf("got %s", got)
	}
}

// The release for container runtimes that know no tag beside a digest names
// images by digest alone.
func TestTrap06_ReleaseWithoutTags(t *testing.T) {
	objs := objects(t, pod("ghcr.io/tektoncd/pipeline/nop-8eac7c133edad5df719dc37b36b62482"+pin))
	rewritten(t, mirrorHost, objs)
	got := places(objs)["p spec.containers[0].image"]
	if !strings.HasPrefix(got, mirrorHost+"/pipeline-nop") || !strings.HasSuffix(got, pin) {
		t.Errorf("got %s", got)
	}
}

func TestTrap07_ShellImageHasAnOverride(t *testing.T) {
	mirror := image.Mirror{
		Registry: mirrorHost,
		Rules: []image.Rule{
			{Match: "cgr.dev/chainguard/busybox", To: image.Targets{mirrorHost + "/busybox:1.36.1"}},
		},
	}
	objs := tekton(t)
	images, err := manifest.Rewrite(objs, rules(t, mirror))
	if err != nil {
		t.Fatal(err)
	}
	shell := slices.IndexFunc(images, func(r image.Rewritten) bool { return r.From.Host == "cgr.dev" })
	if shell < 0 || images[shell].To.String() != mirrorHost+"/busybox:1.36.1" || !images[shell].DigestDropped {
		t.Errorf("images %v", images)
	}
}

func TestTrap08_OnlyReferencesChange(t *testing.T) {
	before := tekton(t)
	after := tekton(t)
	rewritten(t, mirrorHost, after)
	for i := range before {
		if before[i].GetKind() != "CustomResourceDefinition" {
			continue
		}
		was, _ := json.Marshal(before[i])
		is, _ := json.Marshal(after[i])
		if string(was) != string(is) {
			t.Errorf("%s was changed", before[i].GetName())
		}
	}
	mirror := image.Mirror{
		Rules: []image.Rule{
			{Match: "gcr.io/**", To: image.Targets{"a.io/{path}"}},
			{Match: "k8s.gcr.io/**", To: image.Targets{"b.io/{path}"}},
		},
	}
	objs := objects(t, pod("gcr.io/x/y:1", "k8s.gcr.io/x/y:1"))
	if _, err := manifest.Rewrite(objs, rules(t, mirror)); err != nil {
		t.Fatal(err)
	}
	found := places(objs)
	if found["p spec.containers[0].image"] != "a.io/x/y:1" || found["p spec.containers[1].image"] != "b.io/x/y:1" {
		t.Errorf("got %v", found)
	}
}

func TestTrap09_DockerHubNamesHaveNoHost(t *testing.T) {
	mirror := image.Mirror{Rules: []image.Rule{{Match: "docker.io/**", To: image.Targets{mirrorHost + "/{path}"}}}}
	objs := objects(t, pod("alpine", "tektondev/x:1", "index.docker.io/library/busybox:1"))
	if _, err := manifest.Rewrite(objs, rules(t, mirror)); err != nil {
		t.Fatal(err)
	}
	found := places(objs)
	for i, want := range []string{"/library/alpine", "/tektondev/x:1", "/library/busybox:1"} {
		if got := found["p spec.containers["+string(rune('0'+i))+"].image"]; got != mirrorHost+want {
			t.Errorf("got %s, want %s", got, mirrorHost+want)
		}
	}
}

func TestTrap10_RewritingTwice(t *testing.T) {
	for _, preset := range image.Presets {
		objs := tekton(t)
		rewritten(t, preset.Name, objs)
		once := places(objs)
		rewritten(t, preset.Name, objs)
		for place, value := range places(objs) {
			if once[place] != value {
				t.Errorf("%s: %s was %s and is %s", preset.Name, place, once[place], value)
			}
		}
	}
}
