package release_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/release"
)

func manifest(t *testing.T, name string) release.Manifest {
	t.Helper()
	for _, m := range release.Manifests {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no manifest %s", name)
	return release.Manifest{}
}

func TestAssemble(t *testing.T) {
	module := fstest.MapFS{
		"config/200-b.yaml": {
			Data: []byte(
				"# only a comment\n---\napiVersion: v1\nkind: B\nmetadata: {name: b}\n---\napiVersion: v1\nkind: C\nmetadata: {name: c}\n",
			),
		},
		"config/100-d/100.yaml": {
			Data: []byte(
				"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  labels:\n    app.kubernetes.io/version: \"devel\"\n    version: \"devel\"\n    other: develop\n",
			),
		},
		"config/controller.yaml": {
			Data: []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {args: [\"-nop-image\", " +
				"\"ko://github.com/tektoncd/pipeline/cmd/nop\"], image: ko://github.com/tektoncd/pipeline/cmd/controller}\n"),
		},
		"config/dummy.go":              {Data: []byte("package config")},
		"config/interceptors/one.yaml": {Data: []byte("apiVersion: v1\nkind: I\nmetadata: {name: i}\n")},
	}
	tests := []struct {
		manifest string
		want     string
	}{
		{"pipeline", "A B C Deployment I"},
		{"triggers", "B C Deployment"},
		{"triggers-interceptors", "I"},
	}
	for _, tt := range tests {
		objects, err := manifest(t, tt.manifest).Assemble(module, "v9.9.9", image.PublishedName)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, o := range objects {
			kinds = append(kinds, o.GetKind())
		}
		if got := strings.Join(kinds, " "); got != tt.want {
			t.Errorf("%s: kinds %q, want %q", tt.manifest, got, tt.want)
		}
	}

	objects, err := manifest(t, "pipeline").Assemble(module, "v9.9.9", image.PublishedName)
	if err != nil {
		t.Fatal(err)
	}
	if got := objects[0].GetLabels(); got["version"] != "v9.9.9" || got["app.kubernetes.io/version"] != "v9.9.9" ||
		got["other"] != "develop" {
		t.Errorf("labels %v", got)
	}
	text, _ := json.Marshal(objects[3].Object["spec"])
	want := `{"args":["-nop-image","ghcr.io/tektoncd/pipeline/nop-8eac7c133edad5df719dc37b36b62482:v9.9.9"],` +
		`"image":"ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v9.9.9"}`
	if string(text) != want {
		t.Errorf("spec %s, want %s", text, want)
	}
}

func TestAssembleEmpty(t *testing.T) {
	_, err := manifest(t, "pipeline").Assemble(fstest.MapFS{"config/x.go": {}}, "v1", image.PublishedName)
	if err == nil || !strings.Contains(err.Error(), "holds no manifest") {
		t.Errorf("error %v", err)
	}
}

func TestRead(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{
			"list",
			"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: A, metadata: {name: a}}, {apiVersion: v1, kind: B, metadata: {name: b}}]\n",
			"",
		},
		{"not YAML", "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\na: b: c\n", "document 2: not YAML"},
		{"web page", "<!DOCTYPE html>\n<html>\n", "document 1: not a Kubernetes object"},
		{"no name", "apiVersion: v1\nkind: A\n", "A without a name"},
		{"no kind", "hello: world\n", "document 1: not a Kubernetes object"},
	}
	for _, tt := range tests {
		objects, err := release.Read(strings.NewReader(tt.in))
		switch {
		case tt.want == "" && (err != nil || len(objects) != 2):
			t.Errorf("%s: %d objects, error %v", tt.name, len(objects), err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// published are manifests that Tekton published, and the modules that they were
// published from. Those older than October 2024 keep import paths as names.
var published = []struct {
	manifest, version, sum, file string
	name                         func(string) string
}{
	{
		"pipeline",
		"v0.27.0",
		"h1:lsQBNg3q+VK5S0liDxhaodnI0+VLlL+8znl+ZWbLZy8=",
		"pipeline-v0.27.0.yaml",
		image.PreservedName,
	},
	{
		"pipeline",
		"v0.60.0",
		"h1:4CQ1ZIJcoOM8lRB1B+WccLongTVoygcrvOzZz819P1c=",
		"pipeline-v0.60.0.yaml",
		image.PreservedName,
	},
	{
		"pipeline",
		"v1.2.0",
		"h1:A/vNvfcXCfmtduwSYowEvoxW77HVBHsh5BPflVtwrUI=",
		"pipeline-v1.2.0.yaml",
		image.PublishedName,
	},
	{
		"triggers",
		"v0.26.1",
		"h1:zP49d0FX5Yfvu7ExD48WEB00S3KNMMVXMMNYh96csj4=",
		"triggers-v0.26.1-release.yaml",
		image.PreservedName,
	},
	{
		"triggers-interceptors",
		"v0.26.1",
		"h1:zP49d0FX5Yfvu7ExD48WEB00S3KNMMVXMMNYh96csj4=",
		"triggers-v0.26.1-interceptors.yaml",
		image.PreservedName,
	},
	{
		"triggers",
		"v0.32.0",
		"h1:aUo2ePkbvwJaUC8+S66gLuryF17O+I2K/gzQaXjlsm8=",
		"triggers-v0.32.0-release.yaml",
		image.PublishedName,
	},
	{
		"triggers-interceptors",
		"v0.32.0",
		"h1:aUo2ePkbvwJaUC8+S66gLuryF17O+I2K/gzQaXjlsm8=",
		"triggers-v0.32.0-interceptors.yaml",
		image.PublishedName,
	},
}

func TestAssembleAsPublished(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "shared", "releases")
	for _, p := range published {
		t.Run(p.file, func(t *testing.T) {
			file, err := os.Open(filepath.Join(folder, p.file))
			if err != nil {
				t.Skipf("the published file is not on this machine: %v", err)
			}
			defer file.Close()
			want, err := release.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			m := manifest(t, p.manifest)
			module, err := release.Fetch(t.Context(), m.Module, p.version)
			if err != nil {
				t.Fatal(err)
			}
			if module.Sum != p.sum {
				t.Errorf("module %s %s has checksum %s, want %s", m.Module, p.version, module.Sum, p.sum)
			}
			got, err := m.Assemble(os.DirFS(module.Dir), p.version, p.name)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, want)
		})
	}
}

var digest = regexp.MustCompile(`(:v[0-9.]+)@sha256:[0-9a-f]{64}`)

func compare(t *testing.T, got, want []*unstructured.Unstructured) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d documents, published are %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, _ := json.Marshal(got[i].Object)
		w, _ := json.Marshal(want[i].Object)
		if w = digest.ReplaceAll(w, []byte("$1")); string(g) != string(w) {
			t.Errorf("document %d differs\n got %.3000s\nwant %.3000s", i+1, g, w)
		}
	}
}

func TestPack(t *testing.T) {
	objects, err := release.Read(
		strings.NewReader(
			"apiVersion: v1\nkind: A\nmetadata: {name: a}\nbig: 9007199254740993\ntext: \"<a & b>\"\n---\napiVersion: v1\nkind: B\nmetadata: {name: b}\n",
		),
	)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := release.Pack(objects)
	if err != nil {
		t.Fatal(err)
	}
	again, err := release.Pack(objects)
	if err != nil || string(again) != string(packed) {
		t.Errorf("packing twice differs (error %v)", err)
	}
	unpacked, err := release.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, unpacked, objects)
	if _, err := release.Unpack(packed[:len(packed)/2]); err == nil {
		t.Error("half a file was unpacked without an error")
	}
}
