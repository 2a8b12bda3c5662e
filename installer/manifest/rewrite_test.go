package manifest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

const mirrorHost = "registry.example.com"

func objects(t *testing.T, yaml string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := release.Read(strings.NewReader(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func rules(t *testing.T, m image.Mirror) *image.Rules {
	t.Helper()
	r, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// everyPlace has an image in every place where one can stand.
const everyPlace = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: ns}
spec:
  template:
    spec:
      initContainers: [{name: i, image: quay.io/a/init:1}]
      containers:
      - name: c
        image: ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.1
        command: [/x, --git-image=quay.io/a/joined:1]
        args: ["-v", "-nop-image", "quay.io/a/separate:1", "-shell-image-win", "mcr.microsoft.com/powershell:nanoserver", "-entrypoint-image=quay.io/a/equals:1",
          "-short-image", "alpine", "-image-pull-policy", "Always", "-last-image"]
        env: [{name: IMAGE_PIPELINES_NOP, value: quay.io/a/env:1}, {name: IMAGE_COUNT, value: "3"}]
      volumes: [{name: v, image: {reference: quay.io/a/volume:1}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: j, namespace: ns}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: quay.io/a/cron:1}]}}}}}
`

func TestRewriteEveryPlace(t *testing.T) {
	objs := objects(t, everyPlace)
	images, err := manifest.Rewrite(objs, rules(t, image.Shorthand(mirrorHost+"/m")))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(objs)
	for _, want := range []string{
		`"registry.example.com/m/init:1"`, `"registry.example.com/m/pipeline-controller:v1.15.1"`, `"--git-image=registry.example.com/m/joined:1"`,
		`"-nop-image","registry.example.com/m/separate:1"`, `"registry.example.com/m/powershell:nanoserver"`, `"-entrypoint-image=registry.example.com/m/equals:1"`,
		`"-short-image","registry.example.com/m/alpine"`, `"-image-pull-policy","Always","-last-image"`, `"registry.example.com/m/env:1"`, `"value":"3"`,
		`"registry.example.com/m/volume:1"`, `"registry.example.com/m/cron:1"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("lacks %s in %s", want, text)
		}
	}
	if len(images) != 10 {
		t.Errorf("%d images, want 10: %v", len(images), images)
	}
	before := string(text)
	if _, err := manifest.Rewrite(objs, rules(t, image.Shorthand(mirrorHost+"/m"))); err != nil {
		t.Errorf("second time: %v", err)
	}
	if text, _ := json.Marshal(objs); string(text) != before {
		t.Error("the second time changed something")
	}
}

func TestRewriteRefuses(t *testing.T) {
	deployment := func(image string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: ns}\nspec: {template: {spec: {containers: [{name: c, image: '" + image + "'}]}}}\n---\n"
	}
	ghcr := []image.Rule{{Match: "ghcr.io/**", To: []string{"a.io/{name}"}}}
	tests := []struct {
		name, in string
		mirror   image.Mirror
		want     []string
	}{
		{
			"a host without a rule",
			deployment("quay.io/a/b:1"),
			image.Mirror{
				Rules: append(
					[]image.Rule{{Match: "ghcr.io/**", To: []string{"a.io/{name}"}, Optional: true}},
					image.Rule{Match: "gcr.io/**", To: []string{"a.io/{name}"}, Optional: true},
				),
			},
			[]string{
				"Deployment/ns/d: spec.template.spec.containers[0].image: image quay.io/a/b:1: no mirror rule applies",
			},
		},
		{"no reference", deployment("a b"), image.Shorthand("upstream"), []string{"Deployment/ns/d", `"a b"`}},
		{
			"a rule for nothing",
			deployment("ghcr.io/a/b:1"),
			image.Mirror{Rules: append(ghcr, image.Rule{Match: "ghcr.io/tekton/**", To: []string{"b.io/{name}"}})},
			[]string{`mirror.rules[1] ("ghcr.io/tekton/**") applies to no image of this release`, "optional: true"},
		},
		{"two images, one name", deployment("ghcr.io/a/b:1") + deployment("ghcr.io/c/b:1"), image.Mirror{Rules: ghcr},
			[]string{"ghcr.io/a/b:1 and ghcr.io/c/b:1 would both become a.io/b:1"}},
		{
			"left in a ConfigMap",
			deployment(
				"ghcr.io/a/b:1",
			) + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, namespace: ns}\ndata: {x: 'use image: cgr.dev/y/z:1, please'}\n",
			image.Mirror{Rules: ghcr},
			[]string{"ConfigMap/ns/m: data.x names cgr.dev/y/z:1"},
		},
		{
			"left in an unknown flag",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\nspec: {containers: [{name: c, image: 'ghcr.io/a/b', args: ['-helper', 'quay.io/a/c:1']}]}\n",
			image.Mirror{Rules: ghcr},
			[]string{"Pod/ns/p: spec.containers[0].args[1]: image quay.io/a/c:1: no mirror rule applies to it"},
		},
		{
			"left within a longer argument",
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\nspec: {containers: [{name: c, image: 'ghcr.io/a/b', args: ['-helpers', 'a,quay.io/a/c:1']}]}\n",
			image.Mirror{Rules: ghcr},
			[]string{"Pod/ns/p: spec.containers[0].args[1] names quay.io/a/c:1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := manifest.Rewrite(objects(t, tt.in), rules(t, tt.mirror))
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v lacks %q", err, want)
				}
			}
		})
	}
}

// A link to a registry's page is no image, nor is a description in a CRD.
func TestRewriteLeavesTextAlone(t *testing.T) {
	const text = `
apiVersion: v1
kind: ConfigMap
metadata: {name: m, namespace: ns}
data: {x: "see https://quay.io/repository/a/b and https://ghcr.io/v2/"}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: c}
spec: {versions: [{schema: {openAPIV3Schema: {description: "such as gcr.io/tekton-releases/catalog/upstream/git-clone"}}}]}
`
	objs := objects(t, text)
	if _, err := manifest.Rewrite(objs, rules(t, image.Shorthand(mirrorHost))); err != nil {
		t.Error(err)
	}
	got, _ := json.Marshal(objs)
	want, _ := json.Marshal(objects(t, text))
	if string(got) != string(want) {
		t.Errorf("changed to %s", got)
	}
}

// upstreamLeft finds what no rewritten release may hold outside of CRDs'
// descriptions. It is stricter than the installer's own check and knows
// nothing of it.
var upstreamLeft = regexp.MustCompile(
	`(?:^|[^.\w])(?:[\w-]+\.)*(?:gcr\.io|ghcr\.io|cgr\.dev|mcr\.microsoft\.com)\b[^"]*`,
)

var tektonReferenceInDescription = "gcr.io/tekton-releases/catalog/upstream/git-clone"

func checkRelease(t *testing.T, objs []*unstructured.Unstructured) {
	t.Helper()
	for _, mirror := range []image.Mirror{
		image.Shorthand(mirrorHost + "/tekton"),
		{Rules: []image.Rule{{Match: "**", To: []string{mirrorHost + "/{path}"}}}},
	} {
		copies := make([]*unstructured.Unstructured, len(objs))
		for i := range objs {
			copies[i] = objs[i].DeepCopy()
		}
		if _, err := manifest.Rewrite(copies, rules(t, mirror)); err != nil {
			t.Fatal(err)
		}
		for i, obj := range copies {
			if obj.GetKind() == "CustomResourceDefinition" {
				got, _ := json.Marshal(obj)
				want, _ := json.Marshal(objs[i])
				if string(got) != string(want) {
					t.Errorf("CRD %s was changed", obj.GetName())
				}
				continue
			}
			text, _ := json.Marshal(obj.Object)
			for _, left := range upstreamLeft.FindAllString(string(text), -1) {
				t.Errorf("%s %s still has %q", obj.GetKind(), obj.GetName(), left)
			}
		}
	}
}

func TestEmbeddedReleaseLeavesNothingUpstream(t *testing.T) {
	var all []*unstructured.Unstructured
	for _, m := range release.Manifests {
		r, err := manifests.Tekton(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Objects...)
	}
	checkRelease(t, all)
	text, _ := json.Marshal(all)
	if !strings.Contains(string(text), tektonReferenceInDescription) {
		t.Errorf(
			"the VerificationPolicy CRD no longer mentions %s: this test proves less than it says",
			tektonReferenceInDescription,
		)
	}
}

func TestPublishedReleasesLeaveNothingUpstream(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "releases", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Skip("the published releases are not on this machine")
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			objs, err := manifest.Loader{}.Load(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			checkRelease(t, objs)
		})
	}
}

func TestLoad(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("b.yaml", "apiVersion: v1\nkind: B\nmetadata: {name: b}\n")
	write("a.yml", "apiVersion: v1\nkind: A\nmetadata: {name: a}\n")
	write("notes.txt", "not for us")
	for source, want := range map[string]int{good: 1, folder: 2, "-": 1} {
		objs, err := manifest.Loader{
			In: strings.NewReader("apiVersion: v1\nkind: C\nmetadata: {name: c}\n"),
		}.Load(t.Context(), source)
		if err != nil || len(objs) != want {
			t.Errorf("Load(%s) gives %d objects and error %v, want %d", source, len(objs), err, want)
		}
	}
	bad := write("bad.txt", "a: b: c")
	empty := write("empty.txt", "# nothing\n")
	for source, want := range map[string]string{
		bad:                        "document 1: not YAML",
		empty:                      "it holds no object",
		"/no/such/file":            "reading manifest /no/such/file: no such file or directory",
		"http://127.0.0.1:1/x":     "connection refused: where that host is out of reach, leave the flag out",
		"http://127.0.0.1:1/\x7fx": "it is not a URL",
	} {
		_, err := manifest.Loader{PlainHTTP: true}.Load(t.Context(), source)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q): error %v lacks %q", source, err, want)
		}
	}
}

func TestDistinct(t *testing.T) {
	objs := objects(
		t,
		"apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\napiVersion: v1\nkind: A\nmetadata: {name: b}\n",
	)
	if err := manifest.Distinct(objs); err != nil {
		t.Error(err)
	}
	if err := manifest.Distinct(append(objs, objs[0])); err == nil ||
		!strings.Contains(err.Error(), "A/a stands in the manifests twice") {
		t.Errorf("error %v", err)
	}
}

// What is written as YAML reads back as what it was.
func TestWriteYAML(t *testing.T) {
	objs := objects(
		t,
		"apiVersion: v1\nkind: A\nmetadata: {name: a}\nbig: 9007199254740993\nfloat: 1.5\nnone: null\nlist: []\nmap: {}\ntext: \"yes\"\nnumber: \"012\"\ndate: \"2001-01-01\"\nlines: \"a\\nb\\n\"\nempty: \"\"\ncolon: \"a: b\"\ntrue: 1\n",
	)
	var out strings.Builder
	if err := manifest.WriteYAML(&out, objs); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(objects(t, out.String()))
	want, _ := json.Marshal(objs)
	if string(got) != string(want) {
		t.Errorf("read back as\n%s\nwas\n%s", got, want)
	}
	for _, m := range release.Manifests {
		rel, err := manifests.Tekton(m.Name)
		if err != nil {
			t.Fatal(err)
		}
		// Another reader agrees.
		for _, obj := range rel.Objects {
			text, err := manifest.YAML(obj)
			if err != nil {
				t.Fatal(err)
			}
			var again map[string]any
			if err := yaml.Unmarshal(text, &again); err != nil {
				t.Fatalf("%s: %v", obj.GetName(), err)
			}
		}
		var text strings.Builder
		if err := manifest.WriteYAML(&text, rel.Objects); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "release.yaml")
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		read, err := manifest.Loader{}.Load(t.Context(), path)
		got, _ := json.Marshal(read)
		want, _ := json.Marshal(rel.Objects)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s reads back otherwise (error %v)", m.Name, err)
		}
	}
}
