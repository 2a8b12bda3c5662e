package release

import (
	"io"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/published"
	"github.com/tekgate/tekgate/manifests"
)

// TestPublishedOnMirror asks a mirror for what Tekton published, as an install does: what is
// there is pinned, and another image under the tag is a finding that stops the install.
func TestPublishedOnMirror(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	connected, err := installer.Connect(t.Context(), c.Config)
	if err != nil {
		t.Fatal(err)
	}
	host := clitest.Mirror(t)
	serves := clitest.Push(t, host+"/t/pipeline-nop:v9.9.9", clitest.Index(t))
	clitest.Push(t, host+"/t/tekgate:"+manifests.Version, clitest.Index(t))
	source := Source{
		config: clitest.File(t, "tekgate.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
			"mirror: {registry: '"+host+"/t', digest: published}\n"),
		pipeline: []string{clitest.File(t, "release.yaml", "apiVersion: apps/v1\nkind: Deployment\n"+
			"metadata: {name: deployed, namespace: default}\nspec: {template: {spec: {containers: [{name: c,\n"+
			"  image: 'ghcr.io/tektoncd/pipeline/nop-8eac7c133edad5df719dc37b36b62482:v9.9.9'}]}}}\n")},
		triggers: []string{clitest.File(t, "triggers.yaml",
			"apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\nmetadata: {name: cel}\n")},
	}
	for digest, fatal := range map[string]bool{serves: false, "sha256:" + strings.Repeat("0", 64): true} {
		target := Target{Source: source}
		streams := cli.Streams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard}
		loaded, err := target.Source.Read(t.Context(), streams)
		if err != nil {
			t.Fatal(err)
		}
		loaded.Rules = loaded.Rules.WithPublished(
			func(ref image.Reference) (string, bool) { return digest, published.IsTekton(ref) })
		release, err := target.fit(t.Context(), connected, loaded, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range target.Options.Findings {
			if f.Fatal {
				found = append(found, f.Sentence)
			}
		}
		if (len(found) == 1) != fatal || fatal && !strings.Contains(found[0], serves+" there, not "+digest) {
			t.Errorf("published %s: findings %q", digest, found)
		}
		if got := object.Images(release.Objects[0].Object)[0].Value; got != host+"/t/pipeline-nop:v9.9.9@"+digest {
			t.Errorf("published %s: installed %s", digest, got)
		}
	}
}
