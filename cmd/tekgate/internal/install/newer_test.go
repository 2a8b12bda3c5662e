package install

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/manifests"
)

// newerVersion is that of a release that does not exist: two minors after the embedded one, with
// something new of every sort.
const newerVersion = "v1.17.0"

const goneKey = "await-sidecar-readiness"

var (
	cacheImage  = image.PublishedName("github.com/tektoncd/pipeline/cmd/cache") + ":" + newerVersion
	prefetch    = image.PublishedName("github.com/tektoncd/pipeline/cmd/prefetch") + ":" + newerVersion
	cacheServer = image.PublishedName("github.com/tektoncd/pipeline/cmd/cacheserver") + ":" + newerVersion
)

// newer makes that release from the embedded one, and returns its file.
func newer(t *testing.T) string {
	t.Helper()
	embedded, err := manifests.Tekton("pipeline")
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, obj := range embedded.Objects {
		obj = again(t, obj, embedded.Version)
		objects = append(objects, obj)
		switch {
		case obj.GetName() == "tekton-pipelines-controller" && obj.GetKind() == "Deployment":
			objects = append(objects, newDeployment(t, obj))
			addArguments(obj)
		case manifest.IsDefinition(obj) && slices.Contains([]string{"Task", "TaskRun"}, manifest.DefinedKind(obj).Kind):
			addVersion(t, obj)
		case obj.GetKind() == "ConfigMap" && obj.GetName() == "feature-flags":
			data := live.Data(obj)
			delete(data, goneKey)
			data["enable-cache"], data["set-security-context"] = "true", "true"
			set(t, obj, data, "data")
		}
	}
	var text strings.Builder
	for _, obj := range objects {
		raw, err := json.Marshal(obj)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("---\n" + string(raw) + "\n")
	}
	return clitest.File(t, "release.yaml", text.String())
}

// again copies an object with the newer version in place of its own.
func again(t *testing.T, obj *unstructured.Unstructured, version string) *unstructured.Unstructured {
	t.Helper()
	raw, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	made := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(raw), version, newerVersion)), made); err != nil {
		t.Fatal(err)
	}
	return made
}

func set(t *testing.T, obj *unstructured.Unstructured, data map[string]string, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedStringMap(obj.Object, data, path...); err != nil {
		t.Fatal(err)
	}
}

// addArguments adds a flag whose name says that it holds an image, and one whose name does not.
func addArguments(deployment *unstructured.Unstructured) {
	container := containerOf(deployment)
	args, _ := container["args"].([]any)
	container["args"] = append(args, "-cache-image", cacheImage, "--prefetch-with="+prefetch)
}

func containerOf(deployment *unstructured.Unstructured) map[string]any {
	containers, _, _ := unstructured.NestedFieldNoCopy(deployment.Object, "spec", "template", "spec", "containers")
	return containers.([]any)[0].(map[string]any)
}

func newDeployment(t *testing.T, like *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	made := like.DeepCopy()
	made.SetName("tekton-pipelines-cache")
	for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
		labels, _, _ := unstructured.NestedStringMap(made.Object, path...)
		labels = maps.Clone(labels)
		labels["app.kubernetes.io/name"] = "cache"
		set(t, made, labels, path...)
	}
	container := containerOf(made)
	container["image"] = cacheServer
	delete(container, "args")
	return made
}

// addVersion serves v2 beside v1, with a field that holds an image.
func addVersion(t *testing.T, definition *unstructured.Unstructured) {
	t.Helper()
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, v := range versions {
		if v.(map[string]any)["name"] != "v1" {
			continue
		}
		v2 := (&unstructured.Unstructured{Object: v.(map[string]any)}).DeepCopy().Object
		v2["name"], v2["storage"] = "v2", false
		field := map[string]any{"type": "object", "properties": map[string]any{
			"cacheImage": map[string]any{"type": "string"}}}
		if err := unstructured.SetNestedMap(v2, field, "schema", "openAPIV3Schema", "properties", "spec", "properties",
			"cache"); err != nil {
			t.Fatal(err)
		}
		versions = append(versions, v2)
		break
	}
	if err := unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"); err != nil {
		t.Fatal(err)
	}
}

// newerNotes are what the notes about the release must contain.
var newerNotes = []string{
	"note: Deployment/tekton-pipelines/tekton-pipelines-controller has the argument -cache-image, which this tekgate " +
		"does not know: its image " + cacheImage + " is mirrored",
	"note: Deployment/tekton-pipelines/tekton-pipelines-controller has the argument --prefetch-with, which",
	"note: Deployment/tekton-pipelines/tekton-pipelines-cache is new: its images are mirrored",
	"note: CustomResourceDefinition/tasks.tekton.dev has the version v2, which this tekgate does not know",
	"note: CustomResourceDefinition/taskruns.tekton.dev has fields that may hold images and that this tekgate does not " +
		"know: spec.cache.cacheImage: ",
	"note: ConfigMap/tekton-pipelines/feature-flags has the flag enable-cache (\"true\"), which",
}

func wantAll(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if strings.Count(text, part) != 1 {
			t.Errorf("%s says %d times %q:\n%s", what, strings.Count(text, part), part, text)
		}
	}
}

// TestNewerRelease renders a release that this program does not know: all images are rewritten and
// all that is new is reported.
func TestNewerRelease(t *testing.T) {
	t.Parallel()
	file := newer(t)
	out, errOut := program.Must(t, "render", "--mirror", "registry.example.com/tekton", "--pipeline-manifest", file)
	wantAll(t, "render", errOut, newerNotes...)
	for _, want := range []string{
		"registry.example.com/tekton/pipeline-cache:" + newerVersion,
		"--prefetch-with=registry.example.com/tekton/pipeline-prefetch:" + newerVersion,
		"image: registry.example.com/tekton/pipeline-cacheserver:" + newerVersion,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the rendering lacks %s", want)
		}
	}
	if strings.Contains(out, "ghcr.io/tektoncd") || strings.Contains(out, "cgr.dev") {
		t.Error("the rendering names an upstream registry")
	}
	out, _ = program.Must(t, "images", "list", "--mirror", "registry.example.com/tekton", "--pipeline-manifest", file)
	wantAll(t, "images list", out, "/pipeline-cache:", "/pipeline-prefetch:", "/pipeline-cacheserver:")
	_, errOut = program.Must(t, "render", "--mirror", "registry.example.com/tekton")
	if strings.Contains(errOut, "note:") {
		t.Errorf("the install reports the embedded release as new:\n%s", errOut)
	}
}

// TestUpgradeToNewer goes from the embedded release to a newer one and removes it again. Nothing of
// the user's is lost, and everything is reported.
func TestUpgradeToNewer(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)
	k := kubernetes.NewForConfigOrDie(c.Config)
	flags := []string{"--kubeconfig", c.Kubeconfig, "--mirror", "registry.example.com/tekton"}
	program.Must(t, append([]string{"install", "--wait=false", "--skip-probe"}, flags...)...)
	for name, value := range map[string]string{goneKey: "false", "enable-api-fields": "alpha"} {
		_, err := k.CoreV1().ConfigMaps("tekton-pipelines").Patch(t.Context(), "feature-flags", types.MergePatchType,
			[]byte(`{"data":{"`+name+`":"`+value+`"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
		if err != nil {
			t.Fatal(err)
		}
	}
	flags = append(flags, "--pipeline-manifest", newer(t))
	gone := "note: ConfigMap/tekton-pipelines/feature-flags has the key " + goneKey + ", which you set"
	_, errOut := program.Must(t, append([]string{"diff"}, flags...)...)
	wantAll(t, "diff", errOut, append(newerNotes, gone)...)
	out, _ := program.Must(t, append([]string{"upgrade", "--dry-run", "--skip-probe", "-o", "json"}, flags...)...)
	for _, note := range append(newerNotes, gone) {
		if text := strings.TrimPrefix(clitest.JSON(t, strings.TrimPrefix(note, "note: ")), `"`); !strings.Contains(out,
			strings.TrimSuffix(strings.TrimSpace(text), `"`)) {
			t.Errorf("the JSON report lacks %s", text)
		}
	}
	_, errOut = program.Must(t, append([]string{"upgrade", "--wait=false", "--skip-probe"}, flags...)...)
	wantAll(t, "upgrade", errOut, append(newerNotes, gone)...)

	cm, err := k.CoreV1().ConfigMaps("tekton-pipelines").Get(t.Context(), "feature-flags", metav1.GetOptions{})
	if err != nil || cm.Data[goneKey] != "false" || cm.Data["enable-api-fields"] != "alpha" ||
		cm.Data["set-security-context"] != "true" || cm.Data["enable-cache"] != "true" {
		t.Errorf("feature-flags are %v, error %v", cm.Data, err)
	}
	deployments, err := k.AppsV1().Deployments("tekton-pipelines").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	onMirror(t, deployments.Items)
	s.Create("apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: mine, namespace: default}\n" +
		"spec: {steps: [{name: s, image: alpine}]}\n")
	_, errOut = program.Must(t, append([]string{"upgrade", "--wait=false", "--skip-probe"}, flags...)...)
	if did := actions(errOut); did["unchanged"] == 0 || len(did) != 1 {
		t.Errorf("a second upgrade did %v", did)
	}
	if text, err := s.Uninstall("--yes"); err != nil {
		t.Fatalf("uninstall: %v\n%s", err, text)
	}
	s.Expect(false, "apps/v1 Deployment tekton-pipelines/tekton-pipelines-cache")
	s.Expect(true, "tekton.dev/v1 Task default/mine")
}

func onMirror(t *testing.T, deployments []appsv1.Deployment) {
	t.Helper()
	found := map[string]bool{}
	for _, d := range deployments {
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		obj := &unstructured.Unstructured{}
		if err := json.Unmarshal(raw, &obj.Object); err != nil {
			t.Fatal(err)
		}
		obj.SetKind("Deployment")
		found[d.Name] = true
		for _, field := range object.Images(obj.Object) {
			if !strings.HasPrefix(field.Value, "registry.example.com/tekton/") {
				t.Errorf("%s: %s is %s", d.Name, field.Path, field.Value)
			}
		}
	}
	if !found["tekton-pipelines-cache"] {
		t.Errorf("the new Deployment is missing: %v", found)
	}
}

// TestInstallChecksUsers installs a release with set-security-context from a mirror whose shell image
// runs as root, which stops it; from one whose shell image has a user; and with the flag switched off.
func TestInstallChecksUsers(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	host := clitest.Mirror(t)
	file := newer(t)
	config := clitest.File(t, "tekgate.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: "+host+"/tekton, digest: drop}\n")
	out, _ := program.Must(t, "images", "list", "--config", config, "--pipeline-manifest", file, "-o", "json")
	nonRoot := imagetest.AsUser(t, clitest.Platform(t, "amd64"), "65532:65532")
	for _, ref := range mirrored(t, out) {
		clitest.Push(t, ref, nonRoot)
	}
	shell := host + "/tekton/busybox:digest-19f02276bf8d"
	args := []string{"--config", config, "--pipeline-manifest", file}
	install := slices.Concat([]string{"install", "--kubeconfig", c.Kubeconfig, "--wait=false"}, args)
	for user, want := range map[string]string{
		"":        "it runs as root",
		"nonroot": `it names its user "nonroot", and the kubelet accepts a number only`,
	} {
		clitest.Push(t, shell, imagetest.AsUser(t, clitest.Platform(t, "amd64"), user))
		want = shell + ": " + want + " on linux/amd64, and the feature flag set-security-context forbids that for " +
			"-shell-image: every step with a script fails"
		_, _, err := program.Run(t, "", install...)
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "under mirror.images") || strings.Count(err.Error(), "wrong user") != 1 {
			t.Errorf("user %q: install ends with %v, want %q", user, err, want)
		}
		out, _, err := program.Run(t, "", slices.Concat([]string{"images", "verify"}, args)...)
		if err == nil || !strings.Contains(out, want) {
			t.Errorf("user %q: verify ends with %v:\n%s", user, err, out)
		}
	}
	if _, _, err := program.Run(t, "", "images", "verify", "--config", config, "--non-root"); err == nil {
		t.Error("verify --non-root accepts a shell image that runs as root")
	}
	clitest.Push(t, shell, nonRoot)
	program.Must(t, slices.Concat([]string{"images", "verify"}, args)...)
	program.Must(t, install...)

	// The flag of the cluster decides, once its user has changed it.
	clitest.Push(t, shell, clitest.Platform(t, "amd64"))
	_, err := kubernetes.NewForConfigOrDie(c.Config).CoreV1().ConfigMaps("tekton-pipelines").Patch(t.Context(),
		"feature-flags", types.MergePatchType, []byte(`{"data":{"set-security-context":"false"}}`),
		metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	program.Must(t, install...)
}
