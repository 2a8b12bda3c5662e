package images

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/internal/registry"
)

// cosigned is the folder of an archive with what cosign made.
const cosigned = "../../../../internal/signature/testdata/"

// TestVerifySignatures holds that verify tells who signed an image under the mirror's name, and that
// an image without the wanted signature ends it with status 1.
func TestVerifySignatures(t *testing.T) {
	mirror := clitest.Mirror(t)
	config := clitest.File(t, "mirror.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: "+mirror+", layout: host-path}\n")
	program.Must(t, "images", "load", cosigned+"cosign-v3.1.3.tar", "--config", config)
	deployment := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: ns}\n" +
		"spec: {template: {spec: {containers: [" +
		"{name: a, image: 'example.com/app:v1'}, {name: b, image: 'example.com/scanned:v1'}]}}}\n"
	flags := []string{"images", "verify", "--config", config, "-o", "json",
		"--pipeline-manifest", clitest.File(t, "release.yaml", deployment),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")}
	key, other := cosigned+"cosign.pub", cosigned+"other.pub"
	for _, c := range []struct {
		signers      []string
		app, scanned registry.Status
		by, said     string
	}{
		{nil, registry.StatusOK, registry.StatusOK, "", ""},
		{[]string{key}, registry.StatusOK, registry.StatusUnsigned, key, "signed by " + key + ": 1 of 3 images"},
		{[]string{other}, registry.StatusUnsigned, registry.StatusUnsigned, "", ""},
		{[]string{"example.com/app=" + key}, registry.StatusOK, registry.StatusOK, key,
			"no pattern of --signatures matches them, are the signatures of example.com/scanned:v1"},
		{[]string{other, "example.com/app=" + key}, registry.StatusOK, registry.StatusUnsigned, key, ""},
	} {
		args := flags
		for _, s := range c.signers {
			args = append(args, "--signatures", s)
		}
		out, errOut, err := program.Run(t, "", args...)
		if err == nil { // Tekgate's own image is not on the mirror
			t.Errorf("%q: no error", c.signers)
		}
		var results []struct {
			From, SignedBy, Error string
			Status                registry.Status
		}
		if err := json.Unmarshal([]byte(out), &results); err != nil {
			t.Fatalf("%q: %v\n%s%s", c.signers, err, out, errOut)
		}
		if app := results[0]; app.Status != c.app || app.SignedBy != c.by {
			t.Errorf("%q: %+v", c.signers, app)
		}
		if scanned := results[1]; scanned.Status != c.scanned || scanned.SignedBy != "" {
			t.Errorf("%q: %+v", c.signers, scanned)
		}
		if !strings.Contains(errOut, c.said) {
			t.Errorf("%q: want %q in\n%s", c.signers, c.said, errOut)
		}
	}
	for want, more := range map[string][]string{
		"name one with it, as SUBJECT,ISSUER": {"--trusted-root", key, "--signatures", key},
		"matches no image of the release":     {"--signatures", key, "--signatures", "example.com/ap=" + key},
	} {
		_, _, err := program.Run(t, "", append(flags, more...)...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", more, err)
		}
	}
}

// TestVerifySignaturesOfFormerNames holds that a pattern is compared with upstream names, also if the
// manifests have the name of a former mirror.
func TestVerifySignaturesOfFormerNames(t *testing.T) {
	mirror := clitest.Mirror(t)
	config := clitest.File(t, "mirror.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
		"mirror: {registry: "+mirror+", layout: host-path, former: [{registry: old.example.com/hub, layout: host-path}]}\n")
	program.Must(t, "images", "load", cosigned+"cosign-v3.1.3.tar", "--config", config)
	out, errOut, _ := program.Run(t, "", "images", "verify", "--config", config,
		"--signatures", "example.com/*="+cosigned+"other.pub",
		"--pipeline-manifest", clitest.File(t, "release.yaml", "apiVersion: apps/v1\nkind: Deployment\n"+
			"metadata: {name: d, namespace: ns}\nspec: {template: {spec: {containers: "+
			"[{name: a, image: 'old.example.com/hub/example.com/app:v1'}]}}}\n"),
		"--triggers-manifest", clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n"))
	if !strings.Contains(out, "not signed  old.example.com/hub/example.com/app:v1") {
		t.Errorf("verify says\n%s%s", out, errOut)
	}
}
