package kaniko_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/kaniko"
)

func TestMapProblems(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"", ""},
		{"index.docker.io=r.example.com/hub", ""},
		{"index.docker.io=r.example.com/hub;quay.io=r.example.com:5000/quay/", ""},
		{"index.docker.io=a;index.docker.io=b", ""},
		{"docker.io=r.example.com/hub", "docker.io"},
		{"quay.io=r/q;docker.io=r/hub", "docker.io"},
		{"registry-1.docker.io=r/hub", "registry-1.docker.io"},
		{"docker.io/library=r/hub", "the host alone"},
		{"https://index.docker.io/v1/=r/hub", "the host alone"},
		{"index.docker.io=r/hub;;quay.io=r/quay", "an empty part"},
		{"index.docker.io=r/hub;", "an empty part"},
		{";index.docker.io=r/hub", "an empty part"},
		{"index.docker.io=r/hub; ;quay.io=r/quay", "an empty part"},
		{"index.docker.io", "is no entry"},
		{"=r/hub", "names no registry"},
		{"$(params.map)", ""},
		{"docker.io=$(params.mirror)", ""},
	} {
		got := kaniko.MapProblems(c.value)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%q: got %q, want one with %q", c.value, got, c.want)
		}
	}
	if got := kaniko.MapProblems("docker.io=a;;docker.io=b;x"); len(got) != 3 {
		t.Errorf("problems are told apart, and each is named once: got %q", got)
	}
}

func TestKeepsDockerConfig(t *testing.T) {
	for _, c := range []struct {
		repository, release string
		want                kaniko.DockerConfig
	}{
		{"gcr.io/kaniko-project/executor", "v1.24.0", kaniko.ReplacesDockerConfig},
		{"gcr.io/kaniko-project/executor", "", kaniko.ReplacesDockerConfig},
		{"registry.example.com/chainguard/kaniko", "v1.25.5", kaniko.ReplacesDockerConfig},
		{"ghcr.io/osscontainertools/kaniko", "v1.28.3", kaniko.KeepsDockerConfig},
		{"ghcr.io/osscontainertools/kaniko", "v1.29.0", kaniko.KeepsDockerConfig},
		{"registry.example.com/hub/martizih/kaniko", "v1.28.4", kaniko.KeepsDockerConfig},
		{"ghcr.io/osscontainertools/kaniko", "v1.27.0", kaniko.UnknownDockerConfig},
		{"ghcr.io/osscontainertools/kaniko", "", kaniko.UnknownDockerConfig},
		{"registry.example.com/team/builder", "v1.28.3", kaniko.ReplacesDockerConfig},
		{"registry.example.com/notosscontainertools/kaniko", "v1.28.3", kaniko.ReplacesDockerConfig},
	} {
		if got := kaniko.MovedDockerConfig(c.repository, kaniko.Release(c.release)); got != c.want {
			t.Errorf("%s:%s: got %v, want %v", c.repository, c.release, got, c.want)
		}
	}
}
