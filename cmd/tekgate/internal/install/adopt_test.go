package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// harbor is a line of Tekton whose images were renamed by hand, with whole paths, tags
// without their v, and another shell image; and with a change of the user's.
func harbor(t *testing.T, line release.Line) (objects []*unstructured.Unstructured) {
	t.Helper()
	for _, m := range release.Manifests {
		read, err := manifests.TektonOf(line, m.Name)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, read.Objects...)
	}
	for _, obj := range objects {
		for _, field := range object.Images(obj.Object) {
			ref, err := image.Parse(field.Value)
			if err != nil {
				t.Fatal(err)
			}
			if importPath, ok := ref.ImportPath(); ok {
				field.Set("harbor.example.com/ci/" + importPath + ":" + strings.TrimPrefix(ref.Tag, "v"))
			} else if field.Flag == "-shell-image" {
				field.Set("harbor.example.com/ci/alpine:3")
			}
		}
		if obj.GetName() == "tekton-events-controller" && obj.GetKind() == "Deployment" {
			_ = unstructured.SetNestedField(obj.Object, "ssd", "spec", "template", "spec", "nodeSelector", "disktype")
		}
	}
	return objects
}

// manifestFile writes objects to a file.
func manifestFile(t *testing.T, objects []*unstructured.Unstructured) string {
	t.Helper()
	var text strings.Builder
	for _, obj := range objects {
		document, err := yaml.Marshal(obj.Object)
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString("---\n" + string(document))
	}
	return clitest.File(t, "release.yaml", text.String())
}

// applyByHand creates objects as kubectl's client-side apply does.
func applyByHand(s *clitest.Site, objects []*unstructured.Unstructured) {
	s.T.Helper()
	for _, obj := range objects {
		text, err := json.Marshal(obj.Object)
		if err != nil {
			s.T.Fatal(err)
		}
		applied := obj.DeepCopy()
		annotations := applied.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations["kubectl.kubernetes.io/last-applied-configuration"] = string(text)
		applied.SetAnnotations(annotations)
		s.Eventually(obj.GetKind()+"/"+obj.GetName()+" is created", func() bool {
			err = s.Client.Create(s.T.Context(), applied, client.FieldOwner("kubectl-client-side-apply"))
			return err == nil
		})
	}
}

// TestAdoption installs over an installation that was made by hand, and removes it.
func TestAdoption(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	s := clitest.NewSite(t, program, c.Config, c.Kubeconfig)
	line := release.Lines[1]
	before := harbor(t, line)
	applyByHand(s, before)
	flags := append([]string{"--mirror", "registry.example.com/tekton"}, s.Kubeconfig...)

	out, _, err := program.Run(t, "", append([]string{"scan", "-A", "-o", "json"}, flags...)...)
	for _, want := range []string{`"state": "by install"`, `"evidence": "name, place"`,
		`"importPath": "github.com/tektoncd/triggers/cmd/eventlistenersink"`, `"inPlaceOf": "cgr.dev/chainguard/busybox@`,
		`"copyOf": "` + image.PublishedName("github.com/tektoncd/pipeline/cmd/events") + ":" + line.Pipeline + `"`} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("scan lacks %s: %v\n%s", want, err, out)
		}
	}

	out, errOut := program.Must(t, append([]string{"diff"}, flags...)...)
	for _, want := range []string{"image spec.template.spec.containers[0].image: " +
		"harbor.example.com/ci/github.com/tektoncd/pipeline/cmd/events:" + strings.TrimPrefix(line.Pipeline, "v") +
		" (copy of " + image.PublishedName("github.com/tektoncd/pipeline/cmd/events") + ":" + line.Pipeline +
		") becomes registry.example.com/tekton/pipeline-events:" + release.Newest().Pipeline +
		", another version of the same program",
		"harbor.example.com/ci/alpine:3 becomes registry.example.com/tekton/busybox"} {
		if !strings.Contains(out, want) {
			t.Errorf("diff lacks %s:\n%s", want, out)
		}
	}
	for _, noise := range []string{"annotations: {}", "kubernetes.io/metadata.name"} {
		if strings.Contains(out, noise) {
			t.Errorf("diff shows %s, which nobody changes:\n%s", noise, out)
		}
	}
	const lost = "Deployment/tekton-pipelines/tekton-events-controller: your spec.template.spec.nodeSelector[disktype] (ssd) is removed"
	if !strings.Contains(errOut, lost) || !strings.Contains(errOut, "Tekgate did not install it") {
		t.Errorf("diff says\n%s", errOut)
	}

	file := manifestFile(t, before)
	install := append([]string{"install", "--skip-probe", "--wait=false"}, flags...)
	out, errOut = program.Must(t, append(install, "--dry-run", "-o", "json", "--previous-manifest", file)...)
	var report struct {
		From struct{ Pipeline, Triggers string }
		Lost []struct{ Object, Field string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.From.Pipeline != line.Pipeline ||
		report.From.Triggers != line.Triggers || len(report.Lost) != 2 ||
		!strings.HasSuffix(report.Lost[0].Field, "args[-shell-image]") ||
		report.Lost[1].Field != "spec.template.spec.nodeSelector[disktype]" {
		t.Errorf("compared with the user's manifest the report is %+v: %v\n%s", report, err, errOut)
	}
	program.Must(t, install...)
	_, errOut = program.Must(t, install...)
	if !strings.Contains(errOut, ": 0 created, 0 configured") || strings.Contains(errOut, "your ") {
		t.Errorf("a second run says\n%s", errOut)
	}
	if talk, err := s.Uninstall("--purge", "--yes", "--timeout", "30s"); err != nil {
		t.Fatalf("uninstall: %v\n%s", err, talk)
	}
	for _, obj := range before {
		if kind := obj.GetKind(); kind == "Deployment" || kind == "Namespace" || kind == "CustomResourceDefinition" {
			name := strings.TrimPrefix(obj.GetNamespace()+"/"+obj.GetName(), "/")
			s.Expect(false, obj.GetAPIVersion()+" "+kind+" "+name)
		}
	}
}

// The published releases are those of users, with real digests.
func TestHandMadeManifestsOfPublishedReleases(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "..", "..", "shared", "releases")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the published releases are not on this machine")
	}
	text, err := os.ReadFile(filepath.Join(folder, "pipeline-v0.44.2.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	by := strings.NewReplacer("gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/",
		"knativecn/gcr.io.tekton-releases.github.com.tektoncd.pipeline.cmd.")
	pipeline := clitest.File(t, "p.yaml", by.Replace(string(text)))
	args := []string{"images", "list", "-o", "json", "--pipeline-manifest", pipeline,
		"--triggers-manifest", filepath.Join(folder, "triggers-v0.26.1-interceptors.yaml"), "--mirror", "registry.example.com/tekton"}
	out, errOut := program.Must(t, args...)
	var list []struct{ Image, CopyOf, Mirror string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	copies := 0
	for _, i := range list {
		if strings.HasPrefix(i.Image, "docker.io/knativecn/") {
			copies++
			if !strings.HasPrefix(i.CopyOf, "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/") ||
				!strings.HasPrefix(i.Mirror, "registry.example.com/tekton/pipeline-") {
				t.Errorf("%+v", i)
			}
		}
	}
	if copies != 10 {
		t.Errorf("%d copies:\n%s", copies, errOut)
	}
}
