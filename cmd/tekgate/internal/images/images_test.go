package images

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// small is a release of two images, which stand in four places.
const small = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: ns}
spec: {template: {spec: {containers: [
  {name: a, image: 'ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.1', args: [-shell-image, 'cgr.dev/chainguard/busybox@DIGEST', -x-image=quay.io/a/x:1]},
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
	s := scene{source: clitest.Mirror(t) + "/src", target: clitest.Mirror(t) + "/t", digests: map[string]string{}}
	shell := clitest.Push(t, s.source+"/busybox:any", clitest.Index(t))
	s.digests["busybox"] = shell
	for _, name := range []string{"pipeline-controller:v1.15.1", "x:1", "tekgate:" + manifests.Version} {
		s.digests[name] = clitest.Push(t, s.source+"/"+name, clitest.Index(t))
	}
	manifest := clitest.File(t, "release.yaml", strings.ReplaceAll(small, "DIGEST", shell))
	triggers := clitest.File(t, "triggers.yaml",
		"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")
	s.flags = []string{"--pipeline-manifest", manifest, "--triggers-manifest", triggers}
	return s
}

func (s scene) run(t *testing.T, args ...string) (out, errOut string) {
	t.Helper()
	return program.Must(t, append(args, s.flags...)...)
}

func TestImagesListEmbedded(t *testing.T) {
	out, _ := program.Must(t, "images", "list", "--mirror", "r.example.com/t", "-o", "json")
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
	out, _ = program.Must(t, "images", "list")
	if !strings.Contains(out, "cgr.dev/chainguard/busybox@sha256:") || strings.Count(out, "(stays)") != 15 {
		t.Errorf("without a mirror:\n%s", out)
	}
}

// renamed is a part of a release whose images a mirror has renamed.
const renamed = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-pipelines-controller, namespace: n, labels: {app.kubernetes.io/version: v0.47.3}}
spec: {template: {spec: {containers: [{name: c,
  image: 'knativecn/gcr.io.tekton-releases.github.com.tektoncd.pipeline.cmd.controller:v0.47.3@DIGEST',
  args: [-entrypoint-image, 'harbor.example.com/tekton/entrypoint:v0.47.3@DIGEST', -x-image=quay.io/a/x:1]}]}}}
`

func TestImagesListCopies(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	flags := []string{"--pipeline-manifest", clitest.File(t, "r.yaml", strings.ReplaceAll(renamed, "DIGEST", digest)),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")}
	const preserved = "github.com/tektoncd/pipeline/cmd/"
	tests := []struct {
		mirror []string
		want   []listedImage // the first ones
	}{
		{nil, []listedImage{
			{Mirror: "gcr.io/tekton-releases/" + preserved + "controller:v0.47.3"},
			{Mirror: "gcr.io/tekton-releases/" + preserved + "entrypoint:v0.47.3@" + digest},
		}},
		{[]string{"--mirror", "r.io/t"}, []listedImage{
			{Mirror: "r.io/t/pipeline-controller:v0.47.3"}, {Mirror: "r.io/t/pipeline-entrypoint:v0.47.3@" + digest},
		}},
	}
	for _, tt := range tests {
		out, errOut := program.Must(t, slices.Concat([]string{"images", "list", "-o", "json"}, tt.mirror, flags)...)
		var list []listedImage
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) < 3 {
			t.Fatalf("%v: %s", err, out)
		}
		for i, want := range tt.want {
			if list[i].Mirror != want.Mirror ||
				!strings.HasPrefix(list[i].CopyOf, "gcr.io/tekton-releases/"+preserved) ||
				!strings.HasPrefix(list[i].Source, "ghcr.io/tektoncd/"+preserved) {
				t.Errorf("%v: %+v", tt.mirror, list[i])
			}
		}
		if list[2].CopyOf != "" || list[2].Image != "quay.io/a/x:1" {
			t.Errorf("an image of the user: %+v", list[2])
		}
		if strings.Count(errOut, " is a copy of ") != 2 || strings.Count(errOut, "its digest is left out") != 1 {
			t.Errorf("stderr:\n%s", errOut)
		}
	}
	out, _ := program.Must(t, append([]string{"render", "--mirror", "r.io/t"}, flags...)...)
	for _, want := range []string{"image: r.io/t/pipeline-controller:v0.47.3\n",
		"- r.io/t/pipeline-entrypoint:v0.47.3@" + digest + "\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("render lacks %q", want)
		}
	}
	out, errOut := program.Must(t, append([]string{"render", "--mirror", "upstream"}, flags...)...)
	if !strings.Contains(out, "docker.io/knativecn/") && !strings.Contains(out, "image: knativecn/") ||
		strings.Contains(errOut, "is a copy of") {
		t.Errorf("with upstream a copy loses its name:\n%s", errOut)
	}
	out, _ = program.Must(t, append([]string{"images", "list"}, flags...)...)
	if !strings.Contains(out, "\n  copy of gcr.io/tekton-releases/"+preserved+"controller:v0.47.3 ") {
		t.Errorf("the table:\n%s", out)
	}
}

// A mirror is filled, checked, saved and loaded elsewhere, digest for digest.
func TestImagesCopyVerifySaveLoad(t *testing.T) {
	s := newScene(t)
	verify := append([]string{"images", "verify", "--mirror", s.target, "--platform", "linux/arm64"}, s.flags...)
	out, _, err := program.Run(t, "", verify...)
	if cli.Status(err) != 1 || strings.Count(out, "missing ") < 4 || !strings.Contains(out, "tekgate images copy") {
		t.Errorf("an empty mirror: %v\n%s", err, out)
	}
	_, errOut := s.run(t, "images", "copy", "--mirror", s.target, "--from", s.source)
	if !strings.Contains(errOut, "4 images: 4 copied, 0 there already, 0 not needed, 0 failed") {
		t.Errorf("copy says\n%s", errOut)
	}
	out, _ = program.Must(t, verify...)
	if strings.Count(out, "ok ") != 4 || !strings.Contains(out, "linux/amd64,linux/arm64") {
		t.Errorf("verify says\n%s", out)
	}
	out, errOut = s.run(t, "images", "copy", "--mirror", s.target, "--from", s.source, "-o", "json")
	var again []movedImage
	if err := json.Unmarshal([]byte(out), &again); err != nil || len(again) != 4 ||
		again[0].Outcome != registry.Present || !strings.Contains(errOut, "4 there already") {
		t.Errorf("the second copy: %v\n%s%s", err, out, errOut)
	}

	archive := filepath.Join(t.TempDir(), "images.tar")
	s.run(t, "images", "save", archive, "--from", s.target)
	far := clitest.Mirror(t)
	config := clitest.File(t, "far.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: "+far+", layout: host-path}\n")
	_, errOut = program.Must(t, "images", "load", archive, "--config", config)
	if !strings.Contains(errOut, "4 images: 4 copied") {
		t.Errorf("load says\n%s", errOut)
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
		if strings.Contains(r.From, "controller") && r.Digest != s.digests["pipeline-controller:v1.15.1"] {
			t.Errorf("the digest became %s", r.Digest)
		}
	}
}

// A copy without some platforms is refused if the manifests pin the digest upstream. Nothing is
// wrong with it if they name a tag alone, or if the rule drops the digest or finds the mirror's.
func TestImagesCopySubset(t *testing.T) {
	s := newScene(t)
	subset := []string{"--from", s.source, "--platform", "LINUX/x86_64"}
	const warning, refusal = "lacks platforms, so its digest is", "leaving platforms out changes its digest"
	for _, policy := range []string{"keep", "drop", "relock"} {
		config := clitest.File(t, policy+".yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
			"mirror: {registry: "+s.target+"/"+policy+", digest: "+policy+"}\n")
		args := slices.Concat([]string{"images", "copy", "--config", config}, subset, s.flags)
		_, errOut, err := program.Run(t, "", args...)
		want := 0
		if policy == "keep" {
			want = 1
		}
		if cli.Status(err) != want || strings.Count(errOut, refusal) != want || strings.Contains(errOut, warning) {
			t.Errorf("%s: error %v\n%s", policy, err, errOut)
		}
	}
	file := filepath.Join(t.TempDir(), "x.tar")
	_, errOut := program.Must(t, slices.Concat([]string{"images", "save", file}, subset, s.flags)...)
	if strings.Count(errOut, warning) != 1 || !strings.Contains(errOut, "warning: cgr.dev/chainguard/busybox@") {
		t.Errorf("an archive whose mirror is not known:\n%s", errOut)
	}
}

// A platform is checked before anything else happens.
func TestImagesPlatform(t *testing.T) {
	for _, verb := range [][]string{{"copy"}, {"save", "x.tar"}, {"verify"}, {"lock"}} {
		for _, platform := range []string{"linux", "linux/amd46", "linux/arm/v7/x", ""} {
			_, errOut, err := program.Run(t, "", slices.Concat([]string{"images"}, verb,
				[]string{"--mirror", "127.0.0.1:1/t", "--platform", platform})...)
			if cli.Status(err) != 1 ||
				strings.Count(errOut+err.Error(), "\n") > 1 ||
				!strings.Contains(err.Error(), `invalid argument "`+platform+`" for "--platform" flag: `) {
				t.Errorf("%s --platform %q: %v\n%s", verb[0], platform, err, errOut)
			}
		}
	}
}

// A mirror with digests of its own is locked, and from then on pinned.
func TestImagesLock(t *testing.T) {
	upstream, target := clitest.Mirror(t), clitest.Mirror(t)
	both := clitest.Index(t)
	pinned := clitest.Push(t, upstream+"/a/x:1", both)
	manifest, err := both.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	one, err := both.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	repushed := clitest.Push(t, target+"/t/x:1", mutate.MediaType(one, types.OCIManifestSchema1))
	clitest.Push(t, target+"/t/tekgate:"+manifests.Version, clitest.Index(t))
	config := clitest.File(t, "c.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror:\n  registry: "+target+"/t\n  rules: [{match: '"+
			upstream+"/**', to: '"+target+"/t/{name}', digest: relock}]\n")
	pod := clitest.File(t, "pod.yaml",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: '"+upstream+"/a/x:1@"+
			pinned+"'}]}\n")
	triggers := clitest.File(t, "triggers.yaml",
		"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")
	lock := filepath.Join(t.TempDir(), "tekgate.lock")
	flags := []string{"--config", config, "--pipeline-manifest", pod, "--triggers-manifest", triggers, "--lock-file",
		lock}

	_, errOut := program.Must(t, append([]string{"images", "verify"}, flags...)...)
	if !strings.Contains(errOut, "is not locked yet") {
		t.Errorf("verify without a lock says\n%s", errOut)
	}
	_, errOut = program.Must(t, append([]string{"images", "lock"}, flags...)...)
	if !strings.Contains(errOut, "1 images are locked in "+lock) {
		t.Errorf("lock says\n%s", errOut)
	}
	text, err := os.ReadFile(lock)
	if err != nil || !strings.Contains(string(text), target+"/t/x:1@"+repushed) ||
		!strings.Contains(string(text), `"proof": "config"`) {
		t.Errorf("the lock: %v\n%s", err, text)
	}
	out, errOut := program.Must(t, append([]string{"images", "verify"}, flags...)...)
	if strings.Contains(errOut, "not locked") || !strings.Contains(out, "x:1@"+repushed[:19]) {
		t.Errorf("verify with a lock says\n%s%s", out, errOut)
	}
	// The mirror moves the tag: what was locked is no longer what is there.
	clitest.Push(t, target+"/t/x:1", clitest.Platform(t, "amd64"))
	if _, _, err := program.Run(t, "", append([]string{"images", "lock"}, flags...)...); cli.Status(err) != 1 ||
		!strings.Contains(err.Error(), "is left as it was") {
		t.Errorf("locking another image: %v", err)
	}
}

func TestImagesExport(t *testing.T) {
	tests := []struct {
		format, mirror string
		want           []string // in the output or, with "warning:", beside it
	}{
		{"skopeo", "r.io/t",
			[]string{"chainguard/busybox:\n    - sha256:", "warning: skopeo sync cannot rename images",
				"warning: skopeo sync gives no tag to an image that is named by digest only"}},
		{"regsync", "r.io/t",
			[]string{"# regsync once --config regsync.yml\n", "ends with status 0 even if images are missing", "version: 1",
				"target: r.io/t/busybox:digest-", "source: cgr.dev/chainguard/busybox@sha256:", "type: image",
				"source: mcr.microsoft.com/powershell:nanoserver@sha256:"}},
		{"image-syncer", "r.io/t", []string{": r.io/t/pipeline-controller:v1.15.1\n",
			"\n# WARNING: the manifests pin the upstream digests of these images", "\n# - cgr.dev/chainguard/busybox@sha256:",
			"warning: image-syncer changes the digest of an index, but the manifests pin 2 images"}},
		{"hauler", "r.io/t", []string{"# hauler store sync --filename hauler.yaml\n# hauler store copy registry://r.io\n",
			"apiVersion: content.hauler.cattle.io/v1\nkind: Images\nmetadata:\n  name: tekton-images\nspec:\n  images:\n  - name: ghcr.io/",
			"\n    rewrite: r.io/t/pipeline-controller:v1.15.1\n", "warning: Hauler cannot rename an image that is named by digest only",
			"warning: Hauler reads these by their tag although the manifests pin a digest",
			"\n# - cgr.dev/chainguard/busybox@sha256:", "- name: mcr.microsoft.com/powershell:nanoserver\n"}},
		{"zarf", "r.io/t", []string{"kind: ZarfPackageConfig\n", "components:\n- images:\n  - ghcr.io/",
			"  required: true\n", "warning: Zarf cannot rename images", "warning: Zarf takes one platform of each image",
			"warning: these are named by digest only"}},
		{"containerd", "daocloud",
			[]string{"# certs.d/ghcr.io/hosts.toml\n# Copy it to /etc/containerd/certs.d/ghcr.io/hosts.toml on every node.",
				"\n# Accounts: containerd sends the account that a pull Secret has for ghcr.io to the mirror",
				"`tekgate credentials pull NAME --server ghcr.io`; an entry under m.daocloud.io is never used.",
				"# Failures: containerd asks ghcr.io next", "not if the mirror redirects to a web page",
				"server = \"https://ghcr.io\"\n\n[host.\"https://m.daocloud.io/v2/ghcr.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
				"warning: cgr.dev is left out", "warning: containerd's mirrors serve the nodes only",
				"warning: containerd sends the account for an upstream registry to the mirror"}},
		{"containerd", "daocloud-hosts",
			[]string{"[host.\"https://ghcr.m.daocloud.io\"]\n  capabilities = [\"pull\", \"resolve\"]\n# "}},
		{"kustomize", "r.io/t",
			[]string{"# tekgate render --mirror upstream > release.yaml\n# echo 'resources: [release.yaml]' >> kustomization.yaml\n",
				"warning: kustomize's images transformer reaches neither arguments nor two versions of one image: 7 references"}},
	}
	for _, tt := range tests {
		t.Run(tt.format+" "+tt.mirror, func(t *testing.T) {
			out, errOut := program.Must(t, "images", "export", "--format", tt.format, "--mirror", tt.mirror)
			for _, want := range tt.want {
				text := out
				if strings.HasPrefix(want, "warning:") {
					text = errOut
				}
				if !strings.Contains(text, want) {
					t.Errorf("lacks %q:\n%s%s", want, errOut, out)
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
	config := clitest.File(t, "c.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: r.io/t, layout: host-path}\n")
	out, errOut := program.Must(t, "images", "export", "--format", "skopeo", "--config", config)
	if !strings.HasPrefix(out,
		"# skopeo sync --all --preserve-digests --src yaml --dest docker --scoped skopeo.yaml r.io/t\n") ||
		strings.Contains(errOut, "cannot rename") {
		t.Errorf("skopeo for host-path:\n%s%s", errOut, out[:200])
	}
	other := clitest.File(t, "other.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
		"mirror: {registry: 'r.io:5000/t', images: {cgr.dev/chainguard/busybox: 'r.io:5000/t/busybox:1.36.1'}}\n")
	for _, format := range []string{"skopeo", "regsync", "image-syncer", "hauler", "zarf"} {
		out, errOut = program.Must(t, "images", "export", "--format", format, "--config", other, "--plain-http", "r.io:5000")
		if strings.Contains(out, "cgr.dev") || !strings.Contains(errOut, "is left out, because mirror.images") {
			t.Errorf("%s copies an image to the place of another one:\n%s%s", format, errOut, out)
		}
		plain := map[string]string{"skopeo": " --dest-tls-verify=false ", "hauler": " --plain-http registry://r.io:5000\n",
			"regsync": "creds:\n- registry: r.io:5000\n  tls: disabled\n", "image-syncer": " r.io:5000: {insecure: true}\n"}
		if !strings.Contains(out, plain[format]) {
			t.Errorf("%s: plain HTTP is missing:\n%s", format, out)
		}
	}
	out, _ = program.Must(t, "images", "export", "--format", "containerd", "--config", config, "--plain-http", "r.io")
	if !strings.Contains(out, "[host.\"http://r.io/v2/t/ghcr.io\"]") {
		t.Errorf("containerd: plain HTTP is missing:\n%s", out)
	}
	folder := t.TempDir()
	program.Must(t, "images", "export", "--format", "containerd", "--config", config, "--folder", folder)
	if _, err := os.Stat(filepath.Join(folder, "certs.d", "cgr.dev", "hosts.toml")); err != nil {
		t.Error(err)
	}
	if _, _, err := program.Run(t, "",
		append([]string{"images", "export", "--format", "containerd", "--mirror", "r.io/t"},
			newScene(t).flags...)...); err == nil || !strings.Contains(err.Error(), "keep-path") {
		t.Errorf("error %v", err)
	}
}

// An image without tag and digest is latest for every tool: some would copy all tags, others none.
func TestImagesExportForms(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	forms := strings.NewReplacer("DIGEST", digest, "quay.io/a/tag", "quay.io/b/tag").Replace(named)
	flags := []string{"--mirror", "r.io/t", "--pipeline-manifest", clitest.File(t, "forms.yaml", forms),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")}
	for format, want := range map[string][]string{
		"skopeo": {"    a/none:\n    - latest\n", "    a/digest:\n    - " + digest + "\n", "    a/both:\n    - \"1\"\n    - " + digest,
			"    b/tag:\n    - \"1\"\n    - \"2\"\n    - latest\n    - " + digest + "\n", "    library/busybox:\n    - \"1\"\n    - latest\n"},
		"regsync": {"source: quay.io/a/none:latest\n  target: r.io/t/none:latest\n",
			"source: quay.io/a/digest@" + digest + "\n  target: r.io/t/digest:digest-abababababab\n",
			"source: quay.io/a/both:1@" + digest + "\n  target: r.io/t/both:1\n"},
		"image-syncer": {"\nquay.io/a/none:latest: r.io/t/none:latest\n", "\nquay.io/a/both@" + digest + ": r.io/t/both:1\n",
			"\nquay.io/a/digest@" + digest + ": r.io/t/digest:digest-abababababab\n"},
		"hauler": {"- name: quay.io/a/none:latest\n    rewrite: r.io/t/none:latest\n", "- name: quay.io/a/both:1\n    rewrite: r.io/t/both:1\n"},
		"zarf":   {"- quay.io/a/none:latest\n", "- quay.io/a/digest@" + digest + "\n", "- quay.io/a/both:1@" + digest + "\n"},
	} {
		out, errOut := program.Must(t, slices.Concat([]string{"images", "export", "--format", format}, flags)...)
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s lacks %q:\n%s", format, text, out)
			}
		}
		if strings.Contains(errOut, "/none") || strings.Contains(out, "/none\n") || strings.Contains(out, "none: []") {
			t.Errorf("%s: the image without a tag:\n%s%s", format, errOut, out)
		}
	}
}

// kustomize, given what is exported, makes of a release what render makes, also if another
// mirror has renamed its images.
func TestImagesExportKustomizeBuilds(t *testing.T) {
	s := newScene(t)
	t.Run("original", func(t *testing.T) { checkKustomize(t, s) })
	s.flags[1] = clitest.File(t, "renamed.yaml",
		strings.ReplaceAll(renamed, "DIGEST", "sha256:"+strings.Repeat("ab", 32)))
	t.Run("renamed", func(t *testing.T) { checkKustomize(t, s) })
	s.flags[1] = clitest.File(t, "named.yaml", strings.ReplaceAll(named, "DIGEST", "sha256:"+strings.Repeat("ab", 32)))
	for _, policy := range []string{"keep", "drop"} {
		config := clitest.File(t, policy+".yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
			"mirror: {registry: r.example.com/t, digest: "+policy+"}\n")
		t.Run(policy, func(t *testing.T) { checkKustomize(t, s, "--config", config) })
	}
	config := clitest.File(t, "same.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
		"mirror: {rules: [{match: '**', to: 'r.example.com/{path}:fixed'}]}\n")
	t.Run("one tag", func(t *testing.T) { checkKustomize(t, s, "--config", config) })
}

// named are images in every form that a name has, and two versions of one image.
const named = `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: a, image: quay.io/a/none}, {name: b, image: 'quay.io/a/tag:1'}, {name: c,
  image: quay.io/a/digest@DIGEST}, {name: d, image: 'quay.io/a/both:1@DIGEST'}, {name: e, image: 'quay.io/a/tag:2'},
  {name: f, image: quay.io/a/tag}, {name: g, image: 'quay.io/a/tag@DIGEST'}, {name: h, image: 'quay.io/a/tag:1@DIGEST'},
  {name: i, image: 'busybox:1'}, {name: j, image: docker.io/library/busybox}, {name: k, image: 'quay.io/a/tag:1'}]}
`

func checkKustomize(t *testing.T, s scene, mirror ...string) {
	t.Helper()
	if len(mirror) == 0 {
		mirror = []string{"--mirror", "r.example.com/t"}
	}
	exported, _ := s.run(t, append([]string{"images", "export", "--format", "kustomize"}, mirror...)...)
	upstream, _ := s.run(t, "render", "--mirror", "upstream")
	want, _ := s.run(t, append([]string{"render"}, mirror...)...)
	disk := filesys.MakeFsInMemory()
	for name, text := range map[string]string{"kustomization.yaml": exported + "resources: [release.yaml]\n",
		"release.yaml": upstream} {
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
		{"nothing to lock", []string{"images", "lock", "--mirror", "daocloud"},
			"no image of this release has a rule with digest policy relock"},
		{"format of output", []string{"images", "list", "-o", "xml"}, `--output "xml" is not known`},
		{"format of export", []string{"images", "export", "--format", "docker", "--mirror", "daocloud"},
			`--format "docker" is not known: choose one of skopeo`},
		{"mirror to copy from", []string{"images", "copy", "--mirror", "127.0.0.1:1/t", "--from", "nobody"},
			`--from: mirror "nobody" is neither a preset`},
		{"archive", []string{"images", "load", "/no/such.tar", "--mirror", "127.0.0.1:1/t"},
			"reading archive /no/such.tar"},
		{"CA file", []string{"images", "copy", "--mirror", "127.0.0.1:1/t", "--ca-file", "/no/such.pem"},
			"reading the CA file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := program.Run(t, "", tt.args...)
			if cli.Status(err) != 1 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

// TestImagesCopyKeepsOwnImages holds that copy and load leave the tag alone under which the user keeps
// an image of their own.
func TestImagesCopyKeepsOwnImages(t *testing.T) {
	s := newScene(t)
	own := clitest.Push(t, s.target+"/own/busybox:1.36", clitest.Index(t))
	config := clitest.File(t, "own.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror:\n  registry: "+
		s.target+"\n  images: {cgr.dev/chainguard/busybox: '"+s.target+"/own/busybox:1.36'}\n")
	_, errOut := s.run(t, "images", "copy", "--config", config, "--from", s.source, "--overwrite")
	if !strings.Contains(errOut, "busybox:1.36 has to be on the mirror already") ||
		!strings.Contains(errOut, "3 images: 3 copied") {
		t.Errorf("copy says\n%s", errOut)
	}
	archive := filepath.Join(t.TempDir(), "images.tar")
	s.run(t, "images", "save", archive, "--from", s.source)
	_, errOut = program.Must(t, "images", "load", archive, "--config", config, "--overwrite")
	if !strings.Contains(errOut, "0 copied, 3 there already, 1 not needed") {
		t.Errorf("load says\n%s", errOut)
	}
	if got := clitest.Digest(t, s.target+"/own/busybox:1.36"); got != own {
		t.Errorf("the user's image is now %s", got)
	}
}

// TestImagesCopyToItself holds that a copy from the mirror to itself says what is missing.
func TestImagesCopyToItself(t *testing.T) {
	s := newScene(t)
	args := append([]string{"images", "copy", "--mirror", s.target, "--from", s.target}, s.flags...)
	_, errOut, err := program.Run(t, "", args...)
	if cli.Status(err) != 1 || !strings.Contains(errOut, "4 failed") ||
		!strings.Contains(errOut, "the mirror itself is named as the source") {
		t.Errorf("an empty mirror: %v\n%s", err, errOut)
	}
	s.run(t, "images", "copy", "--mirror", s.target, "--from", s.source)
	if _, errOut := program.Must(t, args...); !strings.Contains(errOut, "4 there already") {
		t.Errorf("a full mirror:\n%s", errOut)
	}
}
