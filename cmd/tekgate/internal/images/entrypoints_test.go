package images

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
)

// TestLockEntrypoints holds that the ConfigMap has what the mirror's images start, under the
// names that steps will have, and that one that is not there is reported.
func TestLockEntrypoints(t *testing.T) {
	host := clitest.Mirror(t)
	img, err := mutate.Config(clitest.Platform(t, "amd64"),
		v1.Config{Entrypoint: []string{"git"}, Cmd: []string{"--help"}})
	if err != nil {
		t.Fatal(err)
	}
	clitest.Push(t, host+"/hub/alpine/git:2.45.2", img)
	config := filepath.Join(t.TempDir(), "tekgate.yaml")
	text := fmt.Sprintf(`{apiVersion: tekgate.dev/v1alpha1, kind: Configuration, mirror: {preset: daocloud},
mutator: {imageMirror: {enabled: true, mirror: {rules: [{match: docker.io/**, to: '%s/hub/{path}'}]}}}}`, host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var s release.Source
	cmd := &cobra.Command{}
	s.Flags(cmd)
	if err := cmd.ParseFlags([]string{"--config", config}); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	streams := cli.Streams{Out: &out, ErrOut: &errOut}
	names := []string{"alpine/git:2.45.2", "docker.io/alpine/git:2.45.2", "alpine/absent:1"}
	err = lockEntrypoints(t.Context(), streams, &s, names)
	if err == nil || !strings.Contains(err.Error(), "1 of 2 images could not be read") || out.Len() > 0 ||
		!strings.Contains(errOut.String(), "reading the entrypoint of "+host+"/hub/alpine/absent:1") {
		t.Errorf("error %v, printed %q, and said\n%s", err, &out, &errOut)
	}
	if err := lockEntrypoints(t.Context(), streams, &s, names[:2]); err != nil {
		t.Fatal(err)
	}
	var cm struct {
		Kind     string
		Metadata struct{ Namespace, Name string }
		Data     map[string]string
	}
	if err := yaml.Unmarshal(out.Bytes(), &cm); err != nil {
		t.Fatal(err)
	}
	table, err := entrypoint.Parse(cm.Data)
	if at := cm.Metadata.Namespace + "/" + cm.Metadata.Name; err != nil || cm.Kind != "ConfigMap" ||
		at != "tekgate/tekgate-entrypoints" {
		t.Fatalf("error %v of\n%s", err, &out)
	}
	ref, err := image.Parse(host + "/hub/alpine/git:2.45.2")
	if err != nil {
		t.Fatal(err)
	}
	found, is := table.Find(ref)
	command, why := found.Command(entrypoint.NoArgs)
	if !is || strings.Join(command, " ") != "git --help" {
		t.Errorf("found %v, which starts %q, %q", is, command, why)
	}
	if err := lockEntrypoints(t.Context(), streams, &s, []string{"A B"}); err == nil {
		t.Error("what is no reference is no error")
	}
}
