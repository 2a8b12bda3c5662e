package manifest_test

import (
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/manifests"
)

// renaming is how a mirror renames the images of a release.
type renaming struct {
	name string
	to   func(image.Reference) string
	// all says that the images of others are recognized, too.
	all bool
}

var (
	withMD5   = regexp.MustCompile(`-[0-9a-f]{32}$`)
	dockerHub = "@sha256:" + strings.Repeat("ab", 32) // a digest that a push made
)

func versioned(repository string, ref image.Reference, digest string) string {
	if ref.Tag != "" {
		repository += ":" + ref.Tag
	}
	return repository + digest
}

func kept(ref image.Reference) string {
	if ref.Digest == "" {
		return ""
	}
	return "@" + ref.Digest
}

func binary(ref image.Reference) string { return withMD5.ReplaceAllString(path.Base(ref.Path), "") }

var renamings = []renaming{
	{"knativecn", func(ref image.Reference) string {
		return versioned("knativecn/"+strings.ReplaceAll(ref.Repository(), "/", "."), ref, dockerHub)
	}, true},
	{"dotted in another registry", func(ref image.Reference) string {
		return versioned("registry.example.com/hub/"+strings.ReplaceAll(ref.Repository(), "/", "."), ref, kept(ref))
	}, true},
	{"tektondev", func(ref image.Reference) string {
		component, name, ok := ref.Tekton()
		if !ok {
			return ref.String()
		}
		return versioned("tektondev/"+component+"-"+name, ref, "")
	}, false},
	{"last segments", func(ref image.Reference) string {
		return versioned("harbor.example.com/tekton/"+path.Base(ref.Path), ref, kept(ref))
	}, false},
	{"last segments without MD5", func(ref image.Reference) string {
		return versioned("harbor.example.com:8443/tekton/"+binary(ref), ref, kept(ref))
	}, false},
	{"Harbor with paths", func(ref image.Reference) string {
		return versioned("harbor.example.com/"+ref.Path, ref, kept(ref))
	}, true},
	{"hyphens", func(ref image.Reference) string {
		return versioned("registry.cn-hangzhou.aliyuncs.com/smart/"+strings.NewReplacer("/", "-", ".", "-").
			Replace(ref.Repository()), ref, kept(ref))
	}, true},
}

// rename renames the images of objects, and returns the upstream names by the new ones.
func (r renaming) rename(t *testing.T, objs []*unstructured.Unstructured) map[string]image.Reference {
	t.Helper()
	names := map[string]image.Reference{}
	for _, obj := range objs {
		for _, field := range object.Images(obj.Object) {
			from := parse(t, field.Value)
			_, _, ours := from.Tekton()
			if !ours && !r.all {
				continue
			}
			field.Set(r.to(from))
			names[parse(t, field.Value).String()] = from
		}
	}
	return names
}

func parse(t *testing.T, text string) image.Reference {
	t.Helper()
	ref, err := image.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// checkCopies renames the images of a release, and expects each to be recognized and to get
// the target of the original.
func checkCopies(t *testing.T, objs []*unstructured.Unstructured) {
	t.Helper()
	for _, r := range renamings {
		t.Run(r.name, func(t *testing.T) {
			renamed := make([]*unstructured.Unstructured, len(objs))
			for i := range objs {
				renamed[i] = objs[i].DeepCopy()
			}
			names := r.rename(t, renamed)
			copies := manifest.Copies(renamed)
			for written, from := range names {
				checkCopy(t, written, from, copies)
			}
			if len(names) == 0 || len(copies) != len(names) {
				t.Errorf("%d of %d images are recognized", len(copies), len(names))
			}
		})
	}
}

func checkCopy(t *testing.T, written string, from image.Reference, copies map[string]image.Reference) {
	t.Helper()
	origin := copies[written]
	if _, _, ours := from.Tekton(); ours && !strings.Contains(written, "@"+from.Digest) {
		from.Digest = "" // nobody can tell what it was
	}
	if origin.Canonical() != from.Canonical() {
		t.Errorf("%s is taken for %s, want %s", written, origin, from)
		return
	}
	for _, layout := range image.Layouts {
		rules := rules(t, image.Mirror{Registry: "r.example.net/t", Layout: layout.Name}).WithCopies(copies)
		got, err := rules.Rewrite(parse(t, written))
		want, _ := rules.Rewrite(from)
		if err != nil || got.To != want.To || got.Rule == "" {
			t.Errorf("%s: %s becomes %s (%v), want %s", layout.Name, written, got.To, err, want.To)
		}
	}
}

func TestCopiesOfTheEmbeddedRelease(t *testing.T) {
	checkCopies(t, tekton(t))
}

func TestCopiesOfPublishedReleases(t *testing.T) {
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
			if found := manifest.Copies(objs); len(found) != 0 {
				t.Errorf("the originals are taken for copies: %v", found)
			}
			checkCopies(t, objs)
		})
	}
}

// deployment is one of a release of Pipelines or Triggers.
func deployment(name, version, image, args string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: " + name +
		"\n  labels: {app.kubernetes.io/version: '" + version + "'}\n" +
		"spec: {template: {spec: {containers: [{name: c, image: '" + image + "', args: [" + args + "]}]}}}\n"
}

func TestCopies(t *testing.T) {
	const (
		controller  = "tekton-pipelines-controller"
		digest      = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
		busybox     = "@sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791"
		preserved   = "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/"
		today       = "ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36"
		entrypoint  = "'-entrypoint-image', "
		shell       = "'-shell-image', "
		unknownName = "registry.example.com/a/b:1"
	)
	tests := []struct {
		name, workload, version, image, args string
		written, want                        string // "" for want: it is no copy
	}{
		{"short name of Docker Hub", controller, "v0.27.3", "tektondev/pipeline-controller:v0.27.3", "",
			"docker.io/tektondev/pipeline-controller:v0.27.3", preserved + "controller:v0.27.3"},
		{"singular", "tekton-triggers-webhook", "v0.16.0", "tektondev/trigger-webhook:v0.16.0", "",
			"docker.io/tektondev/trigger-webhook:v0.16.0",
			"gcr.io/tekton-releases/github.com/tektoncd/triggers/cmd/webhook:v0.16.0"},
		{"the name of the workload", "tekton-pipelines-remote-resolvers", "v1.15.1",
			"h.io/t/tekton-pipelines-remote-resolvers:v1.15.1", "", "h.io/t/tekton-pipelines-remote-resolvers:v1.15.1",
			"ghcr.io/tektoncd/pipeline/resolvers-ff86b24f130c42b88983d3c13993056d:v1.15.1"},
		{"in an argument", controller, "v0.47.3", unknownName,
			entrypoint + "xianchao/tekton-entrypoint:v0.47.3", "docker.io/xianchao/tekton-entrypoint:v0.47.3",
			preserved + "entrypoint:v0.47.3"},
		{"a line that moved between registries, before", controller, "v0.53.8", "h.io/t/controller:v0.53.8", "",
			"h.io/t/controller:v0.53.8", preserved + "controller:v0.53.8"},
		{"a line that moved between registries, after", controller, "v0.53.9", "h.io/t/controller:v0.53.9", "",
			"h.io/t/controller:v0.53.9", today + ":v0.53.9"},
		{"a line that ended before the move", controller, "v0.63.0", "h.io/t/controller:v0.63.0", "",
			"h.io/t/controller:v0.63.0", preserved + "controller:v0.63.0"},
		{"a copy of the preserved image", controller, "v0.47.0",
			"h.io/t/ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/controller:v0.47.0", "",
			"h.io/t/ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/controller:v0.47.0",
			"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/controller:v0.47.0"},
		{"a digest alone", controller, "v1.15.1", "h.io/t/controller" + digest, "", "h.io/t/controller" + digest,
			today + digest},
		{"a digest of Docker Hub alone", controller, "v1.15.1", "a/controller" + digest, "",
			"docker.io/a/controller" + digest, today + ":v1.15.1"},
		{"shell image by its digest", controller, "v1.15.1", unknownName, shell + "h.io/t/sh:1" + busybox,
			"h.io/t/sh:1" + busybox, "cgr.dev/chainguard/busybox" + busybox},
		{"shell image by the tag that Tekgate gives it", controller, "v0.44.0", unknownName,
			shell + "h.io/t/busybox:digest-19f02276bf8d", "h.io/t/busybox:digest-19f02276bf8d",
			"cgr.dev/chainguard/busybox" + busybox},
		{"shell image of an old release", controller, "v0.38.4", unknownName,
			shell + "h.io/distroless/busybox:latest", "h.io/distroless/busybox:latest",
			"ghcr.io/distroless/busybox" + busybox},

		{"a patched build", controller, "v1.15.1", "h.io/t/controller:v1.15.1-patched", "",
			"h.io/t/controller:v1.15.1-patched", ""},
		{"another version", controller, "v1.15.1", "h.io/t/controller:v1.14.0", "", "h.io/t/controller:v1.14.0", ""},
		{"another word", controller, "v1.15.1", "h.io/t/our-controller:v1.15.1", "",
			"h.io/t/our-controller:v1.15.1", ""},
		{"another program", controller, "v1.15.1", "h.io/t/webhook:v1.15.1", "", "h.io/t/webhook:v1.15.1", ""},
		{"the MD5 of another program", controller, "v1.15.1",
			"h.io/t/controller-f656ca31de179ab913fa76abc255c315:v1.15.1", "",
			"h.io/t/controller-f656ca31de179ab913fa76abc255c315:v1.15.1", ""},
		{"another component", controller, "v1.15.1", "h.io/github.com/tektoncd/triggers/cmd/controller:v1.15.1", "",
			"h.io/github.com/tektoncd/triggers/cmd/controller:v1.15.1", ""},
		{"neither tag nor digest", controller, "v1.15.1", "h.io/t/controller", "", "h.io/t/controller", ""},
		{"a workload of the user", "our-controller", "v1.15.1", "h.io/t/pipeline-controller:v1.15.1", "",
			"h.io/t/pipeline-controller:v1.15.1", ""},
		{"a flag of another component", "tekton-triggers-controller", "v0.37.0", unknownName,
			entrypoint + "h.io/t/entrypoint:v0.37.0", "h.io/t/entrypoint:v0.37.0", ""},
		{"another shell", controller, "v1.15.1", unknownName, shell + "h.io/library/busybox:1.36.1",
			"h.io/library/busybox:1.36.1", ""},
		{"another shell, without a tag", controller, "v1.15.1", unknownName, shell + "h.io/t/busybox" + digest,
			"h.io/t/busybox" + digest, ""},
		{"its own registry", controller, "v1.15.1", today + ":v1.15.1", "", today + ":v1.15.1", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			copies := manifest.Copies(objects(t, deployment(tt.workload, tt.version, tt.image, tt.args)))
			origin, found := copies[tt.written]
			if found != (tt.want != "") || found && origin.String() != tt.want {
				t.Errorf("%s is taken for %s, want %q; all: %v", tt.written, origin, tt.want, copies)
			}
		})
	}
	task := "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: tekton-pipelines-controller}\n" +
		"spec: {taskSpec: {steps: [{name: a, image: 'tektondev/pipeline-controller:v0.27.3'}]}}\n"
	if found := manifest.Copies(objects(t, task)); len(found) != 0 {
		t.Errorf("the image of a run is taken for a copy: %v", found)
	}
	both := deployment("tekton-pipelines-controller", "v1.0.0", "h.io/t/controller:v1.0.0", "") + "---\n" +
		deployment("tekton-triggers-controller", "v1.0.0", "h.io/t/controller:v1.0.0", "")
	if found := manifest.Copies(objects(t, both)); len(found) != 0 {
		t.Errorf("a name that can be two images is taken for %v", found)
	}
}

// The configuration decides where it names the copy itself.
func TestCopiesKeepTheirNames(t *testing.T) {
	const name = "docker.io/tektondev/pipeline-controller:v0.27.3"
	objs := objects(t, deployment("tekton-pipelines-controller", "v0.27.3", name, ""))
	tests := []struct {
		name   string
		mirror image.Mirror
		want   string
	}{
		{"any mirror", image.Mirror{Registry: "r.io/t"}, "r.io/t/pipeline-controller:v0.27.3"},
		{"prefix mirror", image.Mirror{Preset: "daocloud"},
			"m.daocloud.io/ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/controller:v0.27.3"},
		{"kept", image.Mirror{Registry: "r.io/t", Keep: []string{"docker.io/tektondev/**"}}, name},
		{"its own preset", image.Mirror{Preset: "tektondev"}, name},
		{"upstream", image.Mirror{Preset: "upstream"}, name},
		{"override of the copy", image.Mirror{Registry: "r.io/t",
			Images: map[string]string{"tektondev/pipeline-controller": "r.io/own/c"}}, "r.io/own/c:v0.27.3"},
		{"override of the original", image.Mirror{Registry: "r.io/t", Images: map[string]string{
			"gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/controller": "r.io/own/c"}}, "r.io/own/c:v0.27.3"},
		{"rule for the copy", image.Mirror{Registry: "r.io/t",
			Rules: []image.Rule{{Match: "docker.io/tektondev/*", To: []string{"r.io/hub/{name}"}}}},
			"r.io/hub/pipeline-controller:v0.27.3"},
		{"rule for its host", image.Mirror{Registry: "r.io/t",
			Rules: []image.Rule{{Match: "docker.io/**", To: []string{"r.io/hub/{path}"}, Optional: true}}},
			"r.io/t/pipeline-controller:v0.27.3"},
		{"no rule for the original", image.Mirror{
			Rules: []image.Rule{{Match: "docker.io/**", To: []string{"r.io/hub/{path}"}}}},
			"r.io/hub/tektondev/pipeline-controller:v0.27.3"},
		{"on this mirror, elsewhere", image.Mirror{Registry: "docker.io/tektondev", Layout: "last-segment"},
			"docker.io/tektondev/controller:v0.27.3"},
		{"in its place on this mirror", image.Mirror{Registry: "docker.io/tektondev"}, name},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules := rules(t, tt.mirror).WithCopies(manifest.Copies(objs))
			done, err := rules.Rewrite(parse(t, name))
			if err != nil || done.To.String() != tt.want {
				t.Fatalf("it becomes %s (%v), want %s", done.To, err, tt.want)
			}
			again, err := rules.Rewrite(done.To)
			if err != nil || again.To != done.To {
				t.Errorf("rewritten again it becomes %s (%v)", again.To, err)
			}
		})
	}
	here := rules(t, image.Mirror{Registry: "docker.io/tektondev", Layout: "last-segment"})
	candidates, err := here.WithCopies(manifest.Copies(objs)).Candidates(parse(t, name))
	if err != nil || len(candidates) != 2 || candidates[1].To.String() != name {
		t.Errorf("a copy on the mirror is not among its candidates: %v %v", candidates, err)
	}
}

func TestTekgateImagesAreNoCopies(t *testing.T) {
	own, err := manifests.Tekgate()
	if err != nil {
		t.Fatal(err)
	}
	if found := manifest.Copies(own); len(found) != 0 {
		t.Errorf("they are taken for copies: %v", found)
	}
}
