package manifest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/manifests"
)

func TestSetsSecurityContext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		flag, version string
		want          bool
	}{
		{"true", "v1.15.1", true}, {"True", "v1.15.1", true}, {"1", "v0.60.0", true}, {"false", "v1.17.0", false},
		{"maybe", "v1.17.0", false}, {"-", "v1.15.1", false}, {"-", "v1.16.0", true}, {"-", "v2.0.0", true},
		{"-", "", false}, {"-", "devel", false},
	} {
		flags := map[string]string{}
		if tt.flag != "-" {
			flags["set-security-context"] = tt.flag
		}
		if got := manifest.SetsSecurityContext(flags, tt.version); got != tt.want {
			t.Errorf("flag %q of %q: got %v", tt.flag, tt.version, got)
		}
	}
}

func TestUserOfPods(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]int64{
		"": -1, "nodeSelector: {a: b}": -1, "securityContext: {runAsNonRoot: true}": -1, "a: b: c": -1,
		"securityContext:\n  runAsUser: 1000\n": 1000, "securityContext: {runAsUser: 0}": 0,
	} {
		uid, ok := manifest.UserOfPods(map[string]string{"default-pod-template": template})
		if ok != (want >= 0) || ok && uid != want {
			t.Errorf("template %q: got %d, %v", template, uid, ok)
		}
	}
}

// TestInjectedImages wants the five images that the controller of the embedded release puts into
// Pods on Linux, and knows what each is for.
func TestInjectedImages(t *testing.T) {
	t.Parallel()
	release, err := manifests.Tekton("pipeline")
	if err != nil {
		t.Fatal(err)
	}
	var flags []string
	for _, use := range manifest.InjectedImages(release.Objects) {
		flags = append(flags, use.Flag)
		if !use.Known || use.Fails == "" || use.Image == "" {
			t.Errorf("incomplete: %+v", use)
		}
	}
	slices.Sort(flags)
	want := "entrypoint-image nop-image shell-image sidecarlogresults-image workingdirinit-image"
	if got := strings.Join(flags, " "); got != want {
		t.Errorf("flags %s, want %s", got, want)
	}
}

// TestNews compares releases that differ in one thing each.
func TestNews(t *testing.T) {
	t.Parallel()
	const known = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-pipelines-controller, namespace: tekton-pipelines}
spec: {template: {spec: {containers: [{name: c, image: 'ghcr.io/a/c:1', args: [-shell-image, 'cgr.dev/a/b:1'ARGS]ENV}]}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tasks.tekton.dev}
spec:
  group: tekton.dev
  names: {kind: Task, plural: tasks}
  versions:
  - {name: v1, served: SERVED, storage: true, schema: {openAPIV3Schema: {properties: {spec: {properties: {image: {}FIELDS}}}}}}VERSIONS
---
apiVersion: v1
kind: ConfigMap
metadata: {name: feature-flags, namespace: tekton-pipelines}
data: {a: "1"FLAGS}
`
	base := []string{"ARGS", "", "ENV", "", "SERVED", "true", "FIELDS", "", "VERSIONS", "", "FLAGS", ""}
	with := func(changes ...string) string { return strings.NewReplacer(append(changes, base...)...).Replace(known) }
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":           {with(), ""},
		"another image":     {with("cgr.dev/a/b:1", "cgr.dev/a/b:2"), ""},
		"an image flag":     {with("ARGS", ", -x-image, 'a/b:1'"), "has the argument -x-image"},
		"a flag unlike one": {with("ARGS", ", '--x=ghcr.io/a/b:1'"), "has the argument --x, which"},
		"no image":          {with("ARGS", ", '--x=ghcr.io/a/b', '--y=a/b:1', '--z=:8080'"), ""},
		"a feature flag":    {with("FLAGS", ", b: 'on'"), `feature-flags has the flag b ("on")`},
		"a version":         {with("VERSIONS", "\n  - {name: v2, served: true}"), "has the version v2, which"},
		"only a new version": {with("SERVED", "false", "VERSIONS", "\n  - {name: v2, served: true}"),
			"has the version v2, and none that this tekgate knows"},
		"a field": {with("FIELDS", ", a: {items: {properties: {baseImage: {}, imagePullPolicy: {}}}}"),
			"may hold images and that this tekgate does not know: spec.a[].baseImage:"},
		"a kind": {with() + "---\napiVersion: x.io/v1\nkind: New\nmetadata: {name: neu}\n", "New/neu is of x.io/v1 New, a kind"},
		"a definition": {with() + "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n" +
			"metadata: {name: caches.tekton.dev}\nspec: {group: tekton.dev, names: {kind: Cache}, versions: []}\n",
			"defines Cache.tekton.dev, a kind that this tekgate does not know"},
		"a workload": {with() + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: neu, namespace: x}\n" +
			"spec: {template: {spec: {containers: [{image: a}]}}}\n", "Deployment/x/neu is new: its images"},
	} {
		news := manifest.News(objects(t, tt.text), objects(t, with()))
		got := strings.Join(news, "\n")
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) || len(news) > 1 {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestIsNewer(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"v1.15.1": false, "v1.15.0": false, "v1.15.2": true, "v1.16.0": true, "v2.0.0": true, "devel": true,
	} {
		if got := manifest.IsNewer(version, "v1.15.1"); got != want {
			t.Errorf("%s: got %v", version, got)
		}
	}
}
