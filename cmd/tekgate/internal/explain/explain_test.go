package explain

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

func TestExplain(t *testing.T) {
	out, _ := program.Must(t, "explain", "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.3",
		"--mirror", "r.example.com/t")
	for _, want := range []string{"lives as  ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop:v0.27.3",
		"Tekton's nop of pipeline", "decides", "goes to   r.example.com/t/pipeline-nop:v0.27.3 (digest: none)"} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	out, _ = program.Must(t, "explain", "busybox", "--mirror", "daocloud-hosts", "-o", "json")
	var e explanation
	if err := json.Unmarshal([]byte(out), &e); err != nil || len(e.Candidates) != 1 ||
		e.Candidates[0].Image != "docker.m.daocloud.io/library/busybox" {
		t.Errorf("%v: %s", err, out)
	}
	for name, want := range map[string]string{
		"tektondev/pipeline-nop:v0.27.3":                           "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.3",
		"h.io/tekton/nop-8eac7c133edad5df719dc37b36b62482:v1.15.1": "ghcr.io/tektoncd/pipeline/nop-8eac7c133edad5df719dc37b36b62482:v1.15.1",
		"h.io/tekton/webhook:v1.15.1":                              "", // of Pipelines or of Triggers
		"h.io/our/nop:v1.15.1":                                     "",
	} {
		out, _ := program.Must(t, "explain", name, "--mirror", "r.example.com/t")
		if got := strings.Contains(out, "copy of   "); got != (want != "") || !strings.Contains(out, want) {
			t.Errorf("%s: lacks %q:\n%s", name, want, out)
		}
	}
	if _, _, err := program.Run(t, "", "explain", "A b", "--mirror", "daocloud"); err == nil ||
		!strings.Contains(err.Error(), `parsing image "A b"`) {
		t.Errorf("error %v", err)
	}
}

func TestExplainPublished(t *testing.T) {
	config := clitest.File(t, "tekgate.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
		"mirror: {registry: r.example.com/t, digest: published}\n")
	const nop = "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:"
	for ref, want := range map[string]string{
		nop + "v0.27.0":  "goes to   r.example.com/t/pipeline-nop:v0.27.0@sha256:96c203f18b3eba750fcbf9c018ac1c97a68860053035524f3629ef7093a64d9c (digest: published)",
		nop + "v0.27.3":  "`digest: published` needs the digest that Tekton published",
		"quay.io/a/b:v1": "goes to   r.example.com/t/b:v1 (digest: none)",
	} {
		if out, _ := program.Must(t, "explain", ref, "--config", config); !strings.Contains(out, want) {
			t.Errorf("%s: lacks %q:\n%s", ref, want, out)
		}
	}
}
