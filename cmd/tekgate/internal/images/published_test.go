package images

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/manifests"
)

const (
	knownDigest = "sha256:8d5f900677386b8fe5371429e9c1461b25de47e5e34736c7f99e82e2c279ebbc"
	knownImage  = "ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.12.0"
	emptyImage  = "ghcr.io/tektoncd/pipeline/webhook-d4749e605405422fd87700164e31b2d1:v1.15.1"
)

// publishedFlags returns the flags of a release of an image that the table has a digest for, and
// of others.
func publishedFlags(t *testing.T, images ...string) []string {
	t.Helper()
	var containers []string
	for _, i := range images {
		containers = append(containers, "{name: c, image: '"+i+"'}")
	}
	return []string{
		"--pipeline-manifest", clitest.File(t, "release.yaml", "apiVersion: apps/v1\nkind: Deployment\n"+
			"metadata: {name: d, namespace: ns}\n"+
			"spec: {template: {spec: {containers: ["+strings.Join(containers, ", ")+"]}}}\n"),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n"),
	}
}

func configFile(t *testing.T, mirror string) string {
	t.Helper()
	return clitest.File(t, "tekgate.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {"+mirror+"}\n")
}

// TestVerifyPublished compares a mirror that was filled by hand with what Tekton published.
func TestVerifyPublished(t *testing.T) {
	host := clitest.Mirror(t)
	serves := clitest.Push(t, host+"/t/pipeline-controller:v1.12.0", clitest.Index(t))
	for _, name := range []string{"pipeline-webhook:v1.15.1", "x:1", "tekgate:" + manifests.Version} {
		clitest.Push(t, host+"/t/"+name, clitest.Index(t))
	}
	const line = "1 of 2 Tekton images have no published digest in this tekgate"
	const differs = ", and Tekton published " + knownDigest
	tests := []struct {
		policy, controller string
		status             registry.Status
		says               string // on stderr or in JSON
	}{
		{"keep", knownImage, registry.StatusWrongDigest, "it has digest " + serves + " there" + differs},
		{"keep", knownImage + "@" + serves, registry.StatusOK, "is pinned to " + serves + differs},
		{"drop", knownImage, registry.StatusOK, "has digest " + serves + differs},
		{"relock", knownImage, registry.StatusOK, "has digest " + serves + differs},
	}
	for _, tt := range tests {
		args := append([]string{"images", "verify", "-o", "json", "--config",
			configFile(t, "registry: '"+host+"/t', digest: "+tt.policy)},
			publishedFlags(t, tt.controller, emptyImage, "quay.io/a/x:1")...)
		out, errOut, err := program.Run(t, "", args...)
		var results []struct {
			Status    registry.Status
			Published string
			From      string
		}
		if jsonErr := json.Unmarshal([]byte(out), &results); jsonErr != nil || len(results) != 4 {
			t.Fatalf("%v: %s", jsonErr, out)
		}
		if (err != nil) != (tt.status == registry.StatusWrongDigest) || results[0].Status != tt.status ||
			results[0].Published != knownDigest || !strings.Contains(out, tt.says) {
			t.Errorf("%s: error %v\n%s", tt.policy, err, out)
		}
		for _, r := range results[1:] {
			if r.Status != registry.StatusOK || r.Published != "" {
				t.Errorf("%s: %+v", tt.policy, r)
			}
		}
		if strings.Count(errOut, "no published digest") != 1 || !strings.Contains(errOut, line) ||
			!strings.Contains(errOut, "--pipeline-manifest") {
			t.Errorf("%s: stderr\n%s", tt.policy, errOut)
		}
	}
	// Releases whose digests are known or pinned cause no warning.
	digest := clitest.Digest(t, host+"/t/pipeline-webhook:v1.15.1")
	for _, images := range [][]string{{knownImage}, {emptyImage + "@" + digest}} {
		_, errOut, _ := program.Run(t, "", append([]string{"images", "verify", "--mirror", host + "/t"},
			publishedFlags(t, images...)...)...)
		if strings.Contains(errOut, "no published digest") {
			t.Errorf("%v: stderr\n%s", images, errOut)
		}
	}
}

// TestVerifyPublishedEqual holds that a mirror which serves what was published is right.
func TestVerifyPublishedEqual(t *testing.T) {
	host := clitest.Mirror(t)
	serves := clitest.Push(t, host+"/t/pipeline-webhook:v1.15.1", clitest.Index(t))
	rules, err := image.Mirror{Registry: host + "/t"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := image.Parse(emptyImage)
	if err != nil {
		t.Fatal(err)
	}
	candidates, err := rules.Candidates(ref)
	if err != nil {
		t.Fatal(err)
	}
	images := []release.Image{{Written: ref, Upstream: ref, Candidates: candidates}}
	request := registry.ProbeRequest{Images: release.Candidates(images)}
	results := registry.Probe(t.Context(), request, registry.Options{})
	var errOut bytes.Buffer
	comparePublished(&errOut, images, results,
		func(asked image.Reference) (string, bool) { return serves, asked == ref })
	if r := results[0]; r.Status != registry.StatusOK || r.Published != serves || len(r.Warnings)+errOut.Len() != 0 {
		t.Errorf("%+v\n%s", r, errOut.String())
	}
}

// TestDigestPublished holds that every verb uses the digest that Tekton published, and that an
// image without one stops them.
func TestDigestPublished(t *testing.T) {
	host := clitest.Mirror(t)
	flags := append([]string{"--config", configFile(t, "registry: '"+host+"/t', digest: published")},
		publishedFlags(t, knownImage, "quay.io/a/x:1")...)
	pinned := host + "/t/pipeline-controller:v1.12.0@" + knownDigest
	for _, tt := range []struct{ verb, want string }{
		{"images list -o json", `"mirror": "` + pinned + `"`},
		{"images list -o json", `"source": "` + knownImage + "@" + knownDigest + `"`},
		{"images list -o json", `"mirror": "` + host + `/t/x:1"`},
		{"render", "image: " + pinned},
		{"images export --format regsync", "source: " + knownImage + "@" + knownDigest},
		{"images export --format kustomize", "digest: " + knownDigest},
		{"images export --format skopeo", "- " + knownDigest},
	} {
		out, errOut, err := program.Run(t, "", append(strings.Fields(tt.verb), flags...)...)
		if err != nil || !strings.Contains(out, tt.want) {
			t.Errorf("%s: %v, want %q\n%s%s", tt.verb, err, tt.want, out, errOut)
		}
	}

	// Another image under that tag is neither copied nor right on the mirror.
	source := clitest.Mirror(t)
	for _, name := range []string{"pipeline-controller:v1.12.0", "x:1", "tekgate:" + manifests.Version} {
		clitest.Push(t, source+"/s/"+name, clitest.Index(t))
	}
	out, _, err := program.Run(t, "",
		append([]string{"images", "copy", "-o", "json", "--from", source + "/s"}, flags...)...)
	if err == nil || strings.Count(out, `"outcome": "failed"`) != 1 || strings.Count(out, `"outcome": "copied"`) != 2 ||
		!strings.Contains(out, "404") {
		t.Errorf("copy: %v\n%s", err, out)
	}
	clitest.Push(t, host+"/t/pipeline-controller:v1.12.0", clitest.Index(t))
	out, _, err = program.Run(t, "", append([]string{"images", "verify"}, flags...)...)
	if err == nil || !strings.Contains(out, "wrong digest") || !strings.Contains(out, ", not "+knownDigest) {
		t.Errorf("verify: %v\n%s", err, out)
	}

	flags = append(flags[:2:2], publishedFlags(t, emptyImage)...)
	for _, verb := range []string{"images list", "render", "images verify", "images copy"} {
		_, _, err := program.Run(t, "", append(strings.Fields(verb), flags...)...)
		if err == nil || !strings.Contains(err.Error(), emptyImage+": `digest: published` needs the digest") {
			t.Errorf("%s without a row: %v", verb, err)
		}
	}
}
