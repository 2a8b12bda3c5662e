package manifest_test

import (
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/release"
)

// released is an image of Tekton's, and where its release has it.
type released struct {
	importPath, version, workload string
	container, flag, variable     string
	gcr                           bool // published under gcr.io, with its import path
}

const pipelines = "tekton-pipelines-controller"

// everyImage has each program of Tekton's releases.
var everyImage = []released{
	{importPath: "github.com/tektoncd/pipeline/cmd/controller", version: "v1.15.1", workload: pipelines},
	{importPath: "github.com/tektoncd/pipeline/cmd/controller", version: "v0.26.0", workload: pipelines, gcr: true},
	{importPath: "github.com/tektoncd/pipeline/cmd/webhook", version: "v1.12.0", workload: "tekton-pipelines-webhook"},
	{importPath: "github.com/tektoncd/pipeline/cmd/resolvers", version: "v1.15.1",
		workload: "tekton-pipelines-remote-resolvers"},
	{importPath: "github.com/tektoncd/pipeline/cmd/events", version: "v1.15.1", workload: "tekton-events-controller"},
	{importPath: "github.com/tektoncd/pipeline/cmd/entrypoint", version: "v1.15.1", workload: pipelines,
		flag: "-entrypoint-image"},
	{importPath: "github.com/tektoncd/pipeline/cmd/nop", version: "v0.44.2", workload: pipelines, flag: "-nop-image",
		gcr: true},
	{importPath: "github.com/tektoncd/pipeline/cmd/sidecarlogresults", version: "v1.15.1", workload: pipelines,
		flag: "-sidecarlogresults-image"},
	{importPath: "github.com/tektoncd/pipeline/cmd/workingdirinit", version: "v1.15.1", workload: pipelines,
		flag: "-workingdirinit-image"},
	{importPath: "github.com/tektoncd/pipeline/cmd/git-init", version: "v0.26.0", workload: pipelines, flag: "-git-image", gcr: true},
	{importPath: "github.com/tektoncd/pipeline/cmd/kubeconfigwriter", version: "v0.26.0", workload: pipelines,
		flag: "-kubeconfig-writer-image", gcr: true},
	{importPath: "github.com/tektoncd/pipeline/cmd/imagedigestexporter", version: "v0.26.0", workload: pipelines,
		flag: "-imagedigest-exporter-image", gcr: true},
	{importPath: "github.com/tektoncd/pipeline/cmd/pullrequest-init", version: "v0.26.0", workload: pipelines,
		flag: "-pr-image", gcr: true},
	{importPath: "github.com/tektoncd/pipeline/cmd/creds-init", version: "v0.10.2", workload: pipelines,
		flag: "-creds-image", gcr: true},
	{importPath: "github.com/tektoncd/triggers/cmd/controller", version: "v0.37.0", workload: "tekton-triggers-controller"},
	{importPath: "github.com/tektoncd/triggers/cmd/webhook", version: "v0.16.1", workload: "tekton-triggers-webhook", gcr: true},
	{importPath: "github.com/tektoncd/triggers/cmd/interceptors", version: "v0.37.0",
		workload: "tekton-triggers-core-interceptors"},
	{importPath: "github.com/tektoncd/triggers/cmd/eventlistenersink", version: "v0.37.0",
		workload: "tekton-triggers-controller", flag: "-el-image"},
	{importPath: "github.com/tektoncd/dashboard/cmd/dashboard", version: "v0.69.0", workload: "tekton-dashboard"},
	{importPath: "github.com/tektoncd/dashboard/cmd/dashboard", version: "v0.50.0", workload: "tekton-dashboard", gcr: true},
	{importPath: "github.com/tektoncd/chains/cmd/controller", version: "v0.28.1", workload: "tekton-chains-controller"},
	{importPath: "github.com/tektoncd/results/cmd/api", version: "v0.20.0", workload: "tekton-results-api"},
	{importPath: "github.com/tektoncd/results/cmd/watcher", version: "v0.13.2", workload: "tekton-results-watcher", gcr: true},
	{importPath: "github.com/tektoncd/results/cmd/retention-policy-agent", version: "v0.20.0",
		workload: "tekton-results-retention-policy-agent"},
	{importPath: "github.com/tektoncd/pruner/cmd/controller", version: "v0.3.5", workload: "tekton-pruner-controller"},
	{importPath: "github.com/tektoncd/pruner/cmd/webhook", version: "v0.3.5", workload: "tekton-pruner-webhook"},
	{importPath: "github.com/tektoncd/operator/cmd/kubernetes/operator", version: "v0.80.0", workload: "tekton-operator"},
	{importPath: "github.com/tektoncd/operator/cmd/kubernetes/operator", version: "v0.80.0", workload: "tekton-operator",
		container: "tekton-operator-cluster-operations"},
	{importPath: "github.com/tektoncd/operator/cmd/kubernetes/webhook", version: "v0.80.0",
		workload: "tekton-operator-webhook"},
	{importPath: "github.com/tektoncd/operator/cmd/kubernetes/proxy-webhook", version: "v0.80.0", workload: "tekton-operator",
		variable: "IMAGE_PIPELINES_PROXY"},
	{importPath: "github.com/openshift-pipelines/manual-approval-gate/cmd/controller", version: "v0.7.0",
		workload: "manual-approval-gate-controller"},
	{importPath: "github.com/openshift-pipelines/manual-approval-gate/cmd/webhook", version: "v0.7.0",
		workload: "manual-approval-gate-webhook"},
}

// upstream returns the name under which the image was published.
func (r released) upstream(t testing.TB) image.Reference {
	t.Helper()
	name := image.PublishedName(r.importPath)
	if r.gcr {
		name = image.PreservedName(r.importPath)
	}
	ref, err := image.Parse(name + ":" + r.version + "@sha256:" + strings.Repeat("cd", 32))
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// deployed returns the workload with another image at the place of this one.
func (r released) deployed(written string) *unstructured.Unstructured {
	container := map[string]any{"name": "c", "image": "registry.example.com/a/b:1"}
	containers := []any{container}
	switch {
	case r.flag != "":
		container["args"] = []any{r.flag, written}
	case r.variable != "":
		container["env"] = []any{map[string]any{"name": r.variable, "value": written}}
	case r.container != "":
		containers = append(containers, map[string]any{"name": r.container, "image": written})
	default:
		container["image"] = written
	}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{
			"name": r.workload, "labels": map[string]any{"app.kubernetes.io/version": r.version},
		},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": containers}}},
	}}
	return obj
}

// recognized returns what is known about an image in a workload.
func recognized(t testing.TB, obj *unstructured.Unstructured, written string) (manifest.Origin, bool) {
	t.Helper()
	for _, field := range object.Images(obj.Object) {
		if field.Value != written {
			continue
		}
		ref, err := image.Parse(written)
		if err != nil {
			t.Fatal(err)
		}
		return manifest.Recognize(ref, manifest.PlaceOf(obj, field))
	}
	t.Fatalf("%s is not in the object", written)
	return manifest.Origin{}, false
}

// form is how users rewrite the name of an image by hand.
type form struct {
	name string
	to   func(released, image.Reference) string
	// proven says that the name tells the image at any place.
	proven bool
}

func (r released) component() string { return strings.Split(r.importPath, "/")[2] }

func with(separator string, parts ...string) string {
	return strings.NewReplacer("/", separator).Replace(strings.Join(parts, "/"))
}

// forms are those of manifests that users have published, and of what the tools that they use
// write.
var forms = []form{
	{"component and binary on Docker Hub", func(r released, ref image.Reference) string {
		return "tektondev/" + r.component() + "-" + path.Base(r.importPath) + ":" + ref.Tag
	}, false},
	{"import path with dots, other digest", func(_ released, ref image.Reference) string {
		return "knativecn/" + with(".", ref.Repository()) + ":" + ref.Tag + dockerHub
	}, true},
	{"Harbor project and whole path", func(_ released, ref image.Reference) string {
		return "harbor.example.com/k8sstudy/" + ref.Path + ":" + ref.Tag
	}, true},
	{"prefix with the host", func(_ released, ref image.Reference) string {
		return "m.daocloud.io/" + ref.String()
	}, true},
	{"hyphens", func(_ released, ref image.Reference) string {
		return "swr.cn-north-4.myhuaweicloud.com/team/" + with("-", ref.Repository()) + ":" + ref.Tag
	}, true},
	{"underscores", func(_ released, ref image.Reference) string {
		return "registry.cn-hangzhou.aliyuncs.com/team/" + with("_", ref.Path) + ":" + ref.Tag
	}, true},
	{"dots behind the mirror's host", func(_ released, ref image.Reference) string {
		return "ccr.ccs.tencentyun.com/team/m.daocloud.io." + with(".", ref.Repository()) + ":" + ref.Tag
	}, true},
	{"import path without a registry", func(r released, ref image.Reference) string {
		return "harbor.example.com/hub/" + r.importPath + ":" + ref.Tag
	}, true},
	{"last element", func(_ released, ref image.Reference) string {
		return "harbor.example.com/tekton/" + path.Base(ref.Path) + ":" + ref.Tag
	}, false},
	{"MD5", func(r released, ref image.Reference) string {
		return "harbor.example.com/ci/" + path.Base(image.PublishedName(r.importPath)) + ":" + ref.Tag
	}, true},
	{"binary alone", func(r released, ref image.Reference) string {
		return "harbor.example.com:8443/ci/" + path.Base(r.importPath) + ":" + ref.Tag
	}, false},
	{"binary alone, by its digest", func(r released, ref image.Reference) string {
		return "harbor.example.com/ci/" + path.Base(r.importPath) + "@" + ref.Digest
	}, false},
	{"the name of the workload", func(r released, ref image.Reference) string {
		if r.flag != "" || r.variable != "" {
			return "harbor.example.com/ci/tekton-" + path.Base(r.importPath) + ":" + ref.Tag
		}
		return "harbor.example.com/ci/" + r.workload + ":" + ref.Tag
	}, false},
	{"tag of a country", func(r released, ref image.Reference) string {
		return "harbor.example.com/ci/tekton-" + path.Base(r.importPath) + ":" + ref.Tag + "-cn"
	}, false},
	{"tag without its v", func(r released, ref image.Reference) string {
		return "harbor.example.com/ci/" + path.Base(r.importPath) + ":" + strings.TrimPrefix(ref.Tag, "v")
	}, false},
	{"tag of a platform", func(r released, ref image.Reference) string {
		return "harbor.example.com/ci/" + r.importPath + ":" + ref.Tag + "-linux-amd64"
	}, true},
}

func TestEveryImageInEveryForm(t *testing.T) {
	for _, f := range forms {
		for _, r := range everyImage {
			ref := r.upstream(t)
			written := f.to(r, ref)
			origin, ok := recognized(t, r.deployed(written), written)
			if !ok || origin.ImportPath != r.importPath || origin.Version != r.version && ref.Tag != "" ||
				!slices.Contains(origin.Evidence, manifest.EvidencePlace) {
				t.Errorf("%s: %s is taken for %+v, want %s %s", f.name, written, origin, r.importPath, r.version)
			}
			if got, _ := origin.Image.ImportPath(); got != r.importPath {
				t.Errorf("%s: the upstream image of %s is %s", f.name, written, origin.Image)
			}
			elsewhere, anywhere := manifest.Recognize(parse(t, written), manifest.Place{})
			if f.proven && (!anywhere || elsewhere.ImportPath != r.importPath) ||
				anywhere && elsewhere.ImportPath != r.importPath {
				t.Errorf("%s: %s elsewhere is taken for %+v", f.name, written, elsewhere)
			}
		}
	}
}

// TestAnyRewritingIsRecognized rewrites names at random: any registry, any separator, any of
// the upstream names, with or without MD5, tag and digest.
func TestAnyRewritingIsRecognized(t *testing.T) {
	const seed = 20
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a test is repeatable
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	for range 5000 {
		r := everyImage[random.IntN(len(everyImage))]
		ref := r.upstream(t)
		name := pick(ref.Repository(), ref.Path, r.importPath, path.Base(ref.Path), path.Base(r.importPath),
			r.component()+"/"+path.Base(r.importPath), "tekton/"+path.Base(r.importPath))
		name = with(pick("/", "-", ".", "_", "__"), name)
		tag := pick(":"+ref.Tag, ":"+ref.Tag[1:], ":"+ref.Tag+"-arm64", "")
		digest := pick("", dockerHub, "@"+ref.Digest)
		if tag == "" && digest == "" {
			continue
		}
		host := pick("harbor.example.com/", "docker.io/", "10.0.0.1:5000/", "r.example.net/deep/er/")
		written := host + pick("ci/", "tekton/", "x1/") + name + tag + digest
		origin, ok := recognized(t, r.deployed(written), written)
		if !ok || origin.ImportPath != r.importPath || origin.Version != r.version {
			t.Fatalf("%s is taken for %+v, want %s %s", written, origin, r.importPath, r.version)
		}
	}
}

func TestNearMissesAreNotRecognized(t *testing.T) {
	controller := released{
		importPath: "github.com/tektoncd/pipeline/cmd/controller", version: "v1.15.1", workload: pipelines,
	}
	entrypoint := released{version: "v1.15.1", workload: pipelines, flag: "-entrypoint-image"}
	user := released{version: "v1.15.1", workload: "controller"}
	tests := []struct {
		name    string
		at      released
		written string
	}{
		{"the user's controller in the user's Deployment", user, "registry.example.com/team/controller:v1"},
		{"the same with the version of a release", user, "registry.example.com/team/controller:v1.15.1"},
		{"the user's Tekton tools", user, "registry.example.com/tekton/controller:v1.15.1"},
		{"component and binary, in the user's Deployment", user, "registry.example.com/tekton/pipeline-controller:v1.15.1"},
		{"a build of the user's", controller, "registry.example.com/ci/pipeline-controller:v1.15.1-patched"},
		{"another build", controller, "registry.example.com/ci/pipeline-controller:v1.15.1-cn-fix2"},
		{"a pre-release", controller, "registry.example.com/ci/pipeline-controller:v1.15.1-rc1"},
		{"another version", controller, "registry.example.com/ci/pipeline-controller:v1.15.0"},
		{"no version", controller, "registry.example.com/ci/pipeline-controller:latest"},
		{"another word before", controller, "registry.example.com/ci/our-controller:v1.15.1"},
		{"another word after", controller, "registry.example.com/ci/controller-debug:v1.15.1"},
		{"part of a word", controller, "registry.example.com/ci/subcontroller:v1.15.1"},
		{"another program at this place", controller, "registry.example.com/ci/github.com/tektoncd/pipeline/cmd/webhook:v1.15.1"},
		{"another component at this place", controller, "registry.example.com/ci/triggers-controller:v1.15.1"},
		{"an MD5 of nothing", controller, "registry.example.com/ci/controller-" + strings.Repeat("0a", 16) + ":v1.15.1"},
		{"the MD5 of another component", controller,
			"registry.example.com/ci/" + path.Base(image.PublishedName("github.com/tektoncd/triggers/cmd/controller")) + ":v1.15.1"},
		{"a digest that Tekton published for another program", controller, "registry.example.com/ci/controller:v0.60.0" +
			"@sha256:" + publishedDigest(t, "triggers/cmd/webhook")},
		{"another program in an argument", entrypoint, "registry.example.com/ci/nop:v1.15.1"},
		{"a fork on GitHub", user, "ghcr.io/fork/github.com/tektoncd-fork/pipeline/cmd/controller:v1.15.1"},
		{"its upstream name", controller, image.PublishedName("github.com/tektoncd/pipeline/cmd/controller") + ":v1.15.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if origin, ok := recognized(t, tt.at.deployed(tt.written), tt.written); ok {
				t.Errorf("%s is taken for %+v", tt.written, origin)
			}
		})
	}
}

// publishedDigest returns the digest of any release of a program.
func publishedDigest(t *testing.T, program string) string {
	t.Helper()
	table, err := os.ReadFile(filepath.Join("..", "..", "internal", "published", "digests.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(regexp.QuoteMeta(program) + `:\S+\tsha256:([0-9a-f]{64})`).FindSubmatch(table)
	if found == nil {
		t.Fatalf("no digest of %s", program)
	}
	return string(found[1])
}

func TestPublishedDigestIsEvidenceUnderAnyName(t *testing.T) {
	digest := publishedDigest(t, "pipeline/cmd/git-init")
	origin, ok := manifest.Recognize(parse(t, "registry.example.com/team/git@sha256:"+digest), manifest.Place{})
	if !ok || origin.Binary != "git-init" || !slices.Equal(origin.Evidence, []string{manifest.EvidenceDigest}) ||
		!strings.HasPrefix(origin.Version, "v0.") {
		t.Errorf("it is taken for %+v", origin)
	}
}

func TestReplacedShellImages(t *testing.T) {
	for _, written := range []string{"docker.io/library/busybox:1.36.1", "mattmoor/tekton-base", "registry.example.com/alpine:3"} {
		r := released{version: "v0.26.0", workload: pipelines, flag: "-shell-image"}
		obj := r.deployed(written)
		if origin, ok := recognized(t, obj, written); ok {
			t.Errorf("%s is taken for %+v", written, origin)
		}
		instead, ok := manifest.InPlaceOf(parse(t, written), manifest.PlaceOf(obj, object.Images(obj.Object)[1]))
		if !ok || instead.Repository() != "gcr.io/distroless/base" {
			t.Errorf("%s is there in place of %s", written, instead)
		}
	}
	r := released{version: "v0.26.0", workload: pipelines, flag: "-gsutil-image"}
	written := "registry.example.com/ci/cloud-sdk:latest"
	origin, ok := recognized(t, r.deployed(written), written)
	if !ok || origin.Image.Repository() != "gcr.io/google.com/cloudsdktool/cloud-sdk" {
		t.Errorf("%s is taken for %+v", written, origin)
	}
}

// TestModulesNameNoOtherProgram reads the manifests of the components' modules.
func TestModulesNameNoOtherProgram(t *testing.T) {
	known := map[string]bool{}
	for _, r := range everyImage {
		known[r.importPath] = true
	}
	for module, version := range map[string]string{
		"github.com/tektoncd/pipeline": "v1.15.1", "github.com/tektoncd/triggers": "v0.37.0",
		"github.com/tektoncd/results": "v0.20.0", "github.com/tektoncd/chains": "v0.28.1",
		"github.com/tektoncd/dashboard": "v0.69.0", "github.com/tektoncd/pruner": "v0.3.5",
		"github.com/openshift-pipelines/manual-approval-gate": "v0.7.0",
	} {
		t.Run(path.Base(module), func(t *testing.T) {
			fetched, err := release.Fetch(t.Context(), module, version)
			if err != nil {
				t.Skip(err)
			}
			for importPath := range importPathsIn(t, filepath.Join(fetched.Dir, "config")) {
				if !known[importPath] {
					t.Errorf("%s is not recognized", importPath)
				}
			}
		})
	}
}

var inManifest = regexp.MustCompile(`ko://([\w./-]+)`)

// importPathsIn returns the import paths of the images that the manifests in a folder name.
func importPathsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	err := filepath.WalkDir(folder, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(file)
		for _, match := range inManifest.FindAllSubmatch(text, -1) {
			found[string(match[1])] = true
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%d import paths in %s: %v", len(found), folder, err)
	}
	return found
}
