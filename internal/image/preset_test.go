package image_test

import (
	"slices"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
)

// TestShellImages wants every preset to try an image with a numeric user before one that runs as
// root, since Tekton's shell image must not be root with set-security-context.
func TestShellImages(t *testing.T) {
	t.Parallel()
	const root = "busybox:1.36.1"
	for name, want := range map[string][]string{
		"daocloud": {
			"m.daocloud.io/gcr.io/distroless/static-debian12:debug-nonroot", "m.daocloud.io/docker.io/library/" + root,
		},
		"daocloud-hosts": {
			"gcr.m.daocloud.io/distroless/static-debian12:debug-nonroot", "docker.m.daocloud.io/library/" + root,
		},
		"tektondev": {"docker.io/chainguard/busybox:latest", "docker.io/library/" + root},
		"upstream":  {shell},
	} {
		rules, err := image.Shorthand(name).Compile()
		if err != nil {
			t.Fatal(err)
		}
		candidates, err := rules.Candidates(parse(t, shell))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range candidates[:len(want)] {
			got = append(got, c.To.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("preset %s: the shell image is %q, want %q", name, got, want)
		}
	}
}
