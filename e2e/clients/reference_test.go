package clients_test

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tekgate/tekgate/e2e/clients"
	"github.com/tekgate/tekgate/internal/image"
)

// Nodes accept the references that Tekgate accepts, as the same images. go-containerregistry, which
// Tekton's controller and the builders use, differs where the table says so.
func TestReferences(t *testing.T) {
	if testing.Short() {
		t.Skip("needs containerd, which -short does without")
	}
	c := clients.StartContainerd(t)
	c.Hosts(t, "_default", "server = \"http://127.0.0.1:1\"\n") // nothing leaves this machine
	const digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for written, want := range map[string]struct {
		image string // as Tekgate and containerd take it; empty if they refuse it
		ggcr  string // as go-containerregistry does
	}{
		"alpine":                      {"docker.io/library/alpine", "index.docker.io/library/alpine:latest"},
		"localhost/a":                 {"localhost/a", "localhost/a:latest"},
		"reg.test:443/a":              {"reg.test:443/a", "reg.test:443/a:latest"},
		"docker.io/a/b/c":             {"docker.io/a/b/c", "index.docker.io/a/b/c:latest"},
		"a" + digest:                  {"docker.io/library/a" + digest, "index.docker.io/library/a" + digest},
		"REG.test/a":                  {"REG.test/a", "REG.test/a:latest"},
		"Reg/a":                       {"Reg/a", ""},
		"a/B":                         {"", ""},
		"a/b:":                        {"", ""},
		"reg.test./a":                 {"", "reg.test./a:latest"},
		"a..b/c":                      {"", "a..b/c:latest"},
		"[::1]:5000/a":                {"[::1]:5000/a", "[::1]:5000/a:latest"},
		"a:v1" + digest:               {"docker.io/library/a:v1" + digest, "index.docker.io/library/a" + digest},
		"registry-1.docker.io/a":      {"registry-1.docker.io/a", "registry-1.docker.io/a:latest"},
		"a" + strings.ToUpper(digest): {"", ""},
		digest[8:]:                    {"", "index.docker.io/library/" + digest[8:] + ":latest"},
	} {
		ref, err := image.Parse(written)
		if (err != nil) != (want.image == "") || err == nil && ref.String() != want.image {
			t.Errorf("%s: %s, %v; want %q", written, ref, err, want.image)
		}
		said := c.Pull(t, written, "").Error
		refused := strings.Contains(said, "invalid reference format") || strings.Contains(said, "failed to parse image")
		if refused != (want.image == "") {
			t.Errorf("containerd and %s: %s", written, said)
		}
		parsed, err := name.ParseReference(written)
		if (err != nil) != (want.ggcr == "") || err == nil && parsed.Name() != want.ggcr {
			t.Errorf("go-containerregistry and %s: %v, %v; want %q", written, parsed, err, want.ggcr)
		}
	}
}
