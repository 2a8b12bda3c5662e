package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/copiers"
)

// pinnedRelease is a release on a registry of this machine, which pins one image by tag and
// digest and one by its digest only.
type pinnedRelease struct {
	source, target string
	digest, shell  string
	flags          []string
}

// newPinnedRelease pushes the images as Docker manifest lists. One of them is named without tag and
// digest, and has another tag besides latest.
func newPinnedRelease(t *testing.T, mirror string) pinnedRelease {
	t.Helper()
	p := pinnedRelease{source: clitest.Mirror(t), target: clitest.Mirror(t)}
	p.digest = clitest.Push(t, p.source+"/a/x:1", list(t))
	p.shell = clitest.Push(t, p.source+"/b/busybox:any", list(t))
	clitest.Push(t, p.source+"/c/plain:latest", list(t))
	clitest.Push(t, p.source+"/c/plain:old", list(t))
	p.flags = []string{
		"--config", clitest.File(t, "c.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {keep: ['ghcr.io/tekgate/**'], "+
			strings.ReplaceAll(mirror, "TARGET", p.target)+"}\n"),
		"--pipeline-manifest", clitest.File(t, "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: '"+
			p.source+"/a/x:1@"+p.digest+"', args: [-shell-image, '"+p.source+"/b/busybox@"+p.shell+"']}, {name: d, image: '"+p.source+"/c/plain'}]}\n"),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n"),
	}
	return p
}

func list(t *testing.T) v1.ImageIndex {
	t.Helper()
	all := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for _, architecture := range []string{"amd64", "arm64"} {
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: clitest.Platform(t, architecture),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	return all
}

// export returns the file that is exported for a tool.
func (p pinnedRelease) export(t *testing.T, format string) string {
	t.Helper()
	out, _ := program.Must(t, slices.Concat([]string{"images", "export", "--format", format}, p.flags)...)
	return clitest.File(t, format+".yaml", out)
}

// checkVerify expects the mirror to have the images, with the digests that are pinned.
// Tekgate's own image stays upstream, which is out of reach.
func (p pinnedRelease) checkVerify(t *testing.T) {
	t.Helper()
	out, errOut, _ := program.Run(t, "", slices.Concat([]string{"images", "verify"}, p.flags)...)
	if strings.Count(out, "ok ") != 3 {
		t.Errorf("verify:\n%s%s", out, errOut)
	}
	if tags := clitest.Tags(t, p.target+"/t/plain"); !slices.Equal(tags, []string{"latest"}) {
		t.Errorf("tags of the image that is named without one: %v", tags)
	}
}

func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, out)
	}
}

// regsync fills the mirror by the exported file, with the digests that the manifests pin, even
// if a tag has moved upstream since.
func TestExportRegsyncCopies(t *testing.T) {
	regsync, err := copiers.BuildRegsync(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	p := newPinnedRelease(t, "registry: TARGET/t")
	file := p.export(t, "regsync")
	clitest.Push(t, p.source+"/a/x:1", list(t))
	signature := "/a/x:" + strings.ReplaceAll(p.digest, ":", "-") + ".sig"
	signed := clitest.Push(t, p.source+signature, clitest.Platform(t, "amd64"))
	runTool(t, regsync, "check", "--config", file) // ends with 0, as the file's comment says
	runTool(t, regsync, "once", "--config", file)
	p.checkVerify(t)
	for ref, want := range map[string]string{
		"/t/x:1":                               p.digest,
		"/t/busybox:digest-" + p.shell[7:7+12]: p.shell,
	} {
		if got := clitest.Digest(t, p.target+ref); got != want {
			t.Errorf("%s is %s, want %s", ref, got, want)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	withSignatures := clitest.File(t, "signatures.yml",
		string(text)+"defaults: {digestTags: true, referrers: true}\n") // what the file's comment says
	runTool(t, regsync, "once", "--config", withSignatures)
	if got := clitest.Digest(t, p.target+strings.Replace(signature, "/a/", "/t/", 1)); got != signed {
		t.Errorf("the signature is %s, want %s", got, signed)
	}
}

// skopeo fills a mirror that keeps names, and gives tags to the images that have one.
func TestExportSkopeoCopies(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	p := newPinnedRelease(t, "registry: TARGET/t, layout: last-segment")
	runTool(t, skopeo, "sync", "--all", "--preserve-digests", "--dest-tls-verify=false", "--src", "yaml",
		"--dest", "docker", p.export(t, "skopeo"), p.target+"/t")
	p.checkVerify(t)
	if got := clitest.Digest(t, p.target+"/t/x:1"); got != p.digest {
		t.Errorf("the tag names %s, want %s", got, p.digest)
	}
}
