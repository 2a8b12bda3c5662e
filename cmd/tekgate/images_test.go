package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	inprocess "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// mirror starts a registry of this process and returns its host.
func mirror(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(inprocess.New(inprocess.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// platform is an image of one platform.
func platform(t *testing.T, architecture string) v1.Image {
	t.Helper()
	img, err := random.Image(512, 2)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

func push(t *testing.T, ref string, what remote.Taggable) string {
	t.Helper()
	at, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(at, what); err != nil {
		t.Fatal(err)
	}
	head, err := remote.Head(at)
	if err != nil {
		t.Fatal(err)
	}
	return head.Digest.String()
}

func index(t *testing.T) v1.ImageIndex {
	t.Helper()
	all := v1.ImageIndex(empty.Index)
	for _, architecture := range []string{"amd64", "arm64"} {
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: platform(t, architecture), Descriptor: v1.Descriptor{
			Platform: &v1.Platform{OS: "linux", Architecture: architecture},
		}})
	}
	return all
}

// small is a release of two images, which stand in four places.
const small = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: ns}
spec: {template: {spec: {containers: [
  {name: a, image: 'ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0', args: [-shell-image, 'cgr.dev/chainguard/busybox@DIGEST', -x-image=quay.io/a/x:1]},
  {name: b, image: 'quay.io/a/x:1'}]}}}
`

// scene is a release whose images lie on one registry, and another that is
// empty.
type scene struct {
	source, target string
	flags          []string // the release
	digests        map[string]string
}

func newScene(t *testing.T) scene {
	t.Helper()
	s := scene{source: mirror(t) + "/src", target: mirror(t) + "/t", digests: map[string]string{}}
	shell := push(t, s.source+"/busybox:any", index(t))
	s.digests["busybox"] = shell
	for _, name := range []string{"pipeline-controller:v1.15.0", "x:1", "tekgate:" + manifests.Version} {
		s.digests[name] = push(t, s.source+"/"+name, index(t))
	}
	manifest := file(t, "release.yaml", strings.ReplaceAll(small, "DIGEST", shell))
	triggers := file(t, "triggers.yaml", "apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")
	s.flags = []string{"--pipeline-manifest", manifest, "--triggers-manifest", triggers}
	return s
}

func (s scene) run(t *testing.T, args ...string) (out, talk string) {
	t.Helper()
	return must(t, append(args, s.flags...)...)
}

func TestImagesListEmbedded(t *testing.T) {
	out, _ := must(t, "images", "list", "--mirror", "r.example.com/t", "-o", "json")
	var list []listedImage
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	inArguments := 0
	for _, i := range list {
		if !strings.HasPrefix(i.Mirror, "r.example.com/t/") || len(i.Places) == 0 {
			t.Errorf("%+v", i)
		}
		if strings.Contains(i.Places[0], ".args[") {
			inArguments++
		}
	}
	// Ten of Pipelines, four of Triggers, our own; seven stand in arguments.
	if len(list) != 15 || inArguments != 7 {
		t.Errorf("%d images, %d of them in arguments", len(list), inArguments)
	}
	out, _ = must(t, "images", "list")
	if !strings.Contains(out, "cgr.dev/chainguard/busybox@sha256:") || strings.Count(out, "(stays)") != 15 {
		t.Errorf("without a mirror:\n%s", out)
	}
}

// A mirror is filled, checked, saved and loaded elsewhere, digest for digest.
func TestImagesCopyVerifySaveLoad(t *testing.T) {
	s := newScene(t)
	verify := append([]string{"images", "verify", "--mirror", s.target, "--platform", "linux/arm64"}, s.flags...)
	out, _, err := tekgate(t, "", verify...)
	if status(err) != 1 || strings.Count(out, "missing ") < 4 || !strings.Contains(out, "tekgate images copy") {
		t.Errorf("an empty mirror: %v\n%s", err, out)
	}
	_, talk := s.run(t, "images", "copy", "--mirror", s.target, "--from", s.source)
	if !strings.Contains(talk, "4 images: 4 copied, 0 there already, 0 not needed, 0 failed") {
		t.Errorf("copy says\n%s", talk)
	}
	out, _ = must(t, verify...)
	if strings.Count(out, "ok ") != 4 || !strings.Contains(out, "linux/amd64,linux/arm64") {
		t.Errorf("verify says\n%s", out)
	}
	out, talk = s.run(t, "images", "copy", "--mirror", s.target, "--from", s.source, "-o", "json")
	var again []movedImage
	if err := json.Unmarshal([]byte(out), &again); err != nil || len(again) != 4 || again[0].Outcome != registry.Present || !strings.Contains(talk, "4 there already") {
		t.Errorf("the second copy: %v\n%s%s", err, out, talk)
	}

	archive := filepath.Join(t.TempDir(), "images.tar")
	s.run(t, "images", "save", archive, "--from", s.target)
	far := mirror(t)
	config := file(t, "far.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: "+far+", layout: host-path}\n")
	_, talk = must(t, "images", "load", archive, "--config", config)
	if !strings.Contains(talk, "4 images: 4 copied") {
		t.Errorf("load says\n%s", talk)
	}
	out, _ = s.run(t, "images", "verify", "--config", config, "-o", "json")
	var results []struct{ Status, Digest, From, To string }
	if err := json.Unmarshal([]byte(out), &results); err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Status != "ok" || !strings.HasPrefix(r.To, far+"/"+strings.SplitN(r.From, "/", 2)[0]) {
			t.Errorf("%+v", r)
		}
		if strings.Contains(r.From, "controller") && r.Digest != s.digests["pipeline-controller:v1.15.0"] {
			t.Errorf("the digest became %s", r.Digest)
		}
	}
}

// What changes digests is said, and refused where a digest is pinned.
func TestImagesCopySubset(t *testing.T) {
	s := newScene(t)
	args := append([]string{"images", "copy", "--mirror", s.target, "--from", s.source, "--platform", "linux/amd64"}, s.flags...)
	_, talk, err := tekgate(t, "", args...)
	if status(err) != 1 || !strings.Contains(talk, "lacks platforms, so its digest is") || !strings.Contains(talk, "leaving platforms out changes its digest") {
		t.Errorf("error %v\n%s", err, talk)
	}
}

// A mirror with digests of its own is locked, and from then on pinned.
func TestImagesLock(t *testing.T) {
	upstream, target := mirror(t), mirror(t)
	both := index(t)
	pinned := push(t, upstream+"/a/x:1", both)
	manifest, err := both.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	one, err := both.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	repushed := push(t, target+"/t/x:1", mutate.MediaType(one, types.OCIManifestSchema1))
	push(t, target+"/t/tekgate:"+manifests.Version, index(t))
	config := file(t, "c.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror:\n  registry: "+target+"/t\n  rules: [{match: '"+upstream+"/**', to: '"+target+"/t/{name}', digest: relock}]\n")
	pod := file(t, "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: '"+upstream+"/a/x:1@"+pinned+"'}]}\n")
	triggers := file(t, "triggers.yaml", "apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")
	lock := filepath.Join(t.TempDir(), "tekgate.lock")
	flags := []string{"--config", config, "--pipeline-manifest", pod, "--triggers-manifest", triggers, "--lock-file", lock}

	_, talk := must(t, append([]string{"images", "verify"}, flags...)...)
	if !strings.Contains(talk, "is not locked yet") {
		t.Errorf("verify without a lock says\n%s", talk)
	}
	_, talk = must(t, append([]string{"images", "lock"}, flags...)...)
	if !strings.Contains(talk, "1 images are locked in "+lock) {
		t.Errorf("lock says\n%s", talk)
	}
	text, err := os.ReadFile(lock)
	if err != nil || !strings.Contains(string(text), target+"/t/x:1@"+repushed) || !strings.Contains(string(text), `"proof": "config"`) {
		t.Errorf("the lock: %v\n%s", err, text)
	}
	out, talk := must(t, append([]string{"images", "verify"}, flags...)...)
	if strings.Contains(talk, "not locked") || !strings.Contains(out, "x:1@"+repushed[:19]) {
		t.Errorf("verify with a lock says\n%s%s", out, talk)
	}
	// The mirror moves the tag: what was locked is no longer what is there.
	push(t, target+"/t/x:1", platform(t, "amd64"))
	if _, _, err := tekgate(t, "", append([]string{"images", "lock"}, flags...)...); status(err) != 1 || !strings.Contains(err.Error(), "is left as it was") {
		t.Errorf("locking another image: %v", err)
	}
}

func TestExplain(t *testing.T) {
	out, _ := must(t, "explain", "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.3", "--mirror", "r.example.com/t")
	for _, want := range []string{"lives as  ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop:v0.27.3", "Tekton's nop of pipeline", "decides", "goes to   r.example.com/t/pipeline-nop:v0.27.3 (digest: none)"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	out, _ = must(t, "explain", "busybox", "--mirror", "daocloud-hosts", "-o", "json")
	var e explanation
	if err := json.Unmarshal([]byte(out), &e); err != nil || len(e.Candidates) != 1 || e.Candidates[0].Image != "docker.m.daocloud.io/library/busybox" {
		t.Errorf("%v: %s", err, out)
	}
	if _, _, err := tekgate(t, "", "explain", "A b", "--mirror", "daocloud"); err == nil || !strings.Contains(err.Error(), `parsing image "A b"`) {
		t.Errorf("error %v", err)
	}
}

func TestImagesExport(t *testing.T) {
	tests := []struct {
		format, mirror string
		want           []string // in the output or, with "warning:", beside it
	}{
		{"skopeo", "r.io/t", []string{"chainguard/busybox:\n    - sha256:", "warning: skopeo sync cannot rename images"}},
		{"regsync", "r.io/t", []string{"version: 1", "target: r.io/t/busybox:digest-", "source: cgr.dev/chainguard/busybox@sha256:", "type: image"}},
		{"image-syncer", "r.io/t", []string{": r.io/t/pipeline-controller:v1.15.0\n"}},
		{"containerd", "daocloud", []string{"# certs.d/ghcr.io/hosts.toml\nserver = \"https://ghcr.io\"\n\n[host.\"https://m.daocloud.io/v2/ghcr.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", "warning: cgr.dev is left out", "warning: containerd's mirrors serve the nodes alone"}},
		{"containerd", "daocloud-hosts", []string{"[host.\"https://ghcr.m.daocloud.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n# "}},
		{"kustomize", "r.io/t", []string{"warning: kustomize's images transformer does not reach arguments: 7 references"}},
	}
	for _, tt := range tests {
		t.Run(tt.format+" "+tt.mirror, func(t *testing.T) {
			out, talk := must(t, "images", "export", "--format", tt.format, "--mirror", tt.mirror)
			for _, want := range tt.want {
				if said := strings.HasPrefix(want, "warning:") && strings.Contains(talk, want); !said && !strings.Contains(out, want) {
					t.Errorf("lacks %q:\n%s%s", want, talk, out)
				}
			}
			if tt.format != "containerd" {
				var any map[string]any
				if err := yaml.Unmarshal([]byte(out), &any); err != nil {
					t.Error(err)
				}
			}
		})
	}
	config := file(t, "c.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: r.io/t, layout: host-path}\n")
	out, talk := must(t, "images", "export", "--format", "skopeo", "--config", config)
	if !strings.HasPrefix(out, "# skopeo sync --all --preserve-digests --src yaml --dest docker --scoped skopeo.yaml r.io/t\n") || strings.Contains(talk, "warning: skopeo") {
		t.Errorf("skopeo for host-path:\n%s%s", talk, out[:200])
	}
	folder := t.TempDir()
	must(t, "images", "export", "--format", "containerd", "--config", config, "--folder", folder)
	if _, err := os.Stat(filepath.Join(folder, "certs.d", "cgr.dev", "hosts.toml")); err != nil {
		t.Error(err)
	}
	if _, _, err := tekgate(t, "", append([]string{"images", "export", "--format", "containerd", "--mirror", "r.io/t"}, newScene(t).flags...)...); err == nil || !strings.Contains(err.Error(), "keep-path") {
		t.Errorf("error %v", err)
	}
}

// kustomize, given what is exported, makes of a release what render makes.
func TestImagesExportKustomizeBuilds(t *testing.T) {
	s := newScene(t)
	exported, _ := s.run(t, "images", "export", "--format", "kustomize", "--mirror", "r.example.com/t")
	upstream, _ := s.run(t, "render", "--mirror", "upstream")
	want, _ := s.run(t, "render", "--mirror", "r.example.com/t")
	disk := filesys.MakeFsInMemory()
	for name, text := range map[string]string{"kustomization.yaml": exported + "resources: [release.yaml]\n", "release.yaml": upstream} {
		if err := disk.WriteFile(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, ".")
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := imagesIn(t, string(text)), imagesIn(t, want); got != want {
		t.Errorf("kustomize makes\n%s\nwant\n%s", got, want)
	}
}

// imagesIn lists the images of a manifest, with where they stand.
func imagesIn(t *testing.T, text string) string {
	t.Helper()
	objects, err := release.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	byObject := map[string]string{}
	for _, obj := range objects {
		for _, field := range object.Images(obj.Object) {
			if _, err := image.Parse(field.Value); err != nil {
				t.Error(err)
			}
			byObject[obj.GetKind()+"/"+obj.GetName()] += field.Path + " " + field.Value + "\n"
		}
	}
	list, err := json.MarshalIndent(byObject, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(list)
}

func TestImagesErrors(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no mirror to verify", []string{"images", "verify"}, "no mirror is named"},
		{"no mirror to copy to", []string{"images", "copy"}, "no mirror is named"},
		{"nothing to lock", []string{"images", "lock", "--mirror", "daocloud"}, "no image of this release has a rule with digest policy relock"},
		{"format of output", []string{"images", "list", "-o", "yaml"}, `--output "yaml" is not known`},
		{"format of export", []string{"images", "export", "--format", "docker", "--mirror", "daocloud"}, `--format "docker" is not known: choose one of skopeo`},
		{"mirror to copy from", []string{"images", "copy", "--mirror", "127.0.0.1:1/t", "--from", "nobody"}, `--from: mirror "nobody" is neither a preset`},
		{"archive", []string{"images", "load", "/no/such.tar", "--mirror", "127.0.0.1:1/t"}, "reading archive /no/such.tar"},
		{"CA file", []string{"images", "copy", "--mirror", "127.0.0.1:1/t", "--ca-file", "/no/such.pem"}, "reading the CA file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := tekgate(t, "", tt.args...)
			if status(err) != 1 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}
