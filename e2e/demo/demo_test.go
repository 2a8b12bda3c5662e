package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// The demo checks each of its own claims; this test checks that it prints them.
func TestDemo(t *testing.T) {
	existing := os.Getenv(cluster.KubeconfigEnv) != ""
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../../cmd/tekgate", "../../cmd/webhook", "../../cmd/interceptor")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var out bytes.Buffer
	if err := run(t.Context(), bin, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	text := out.String()
	for _, want := range []string{
		"160 objects in ",
		"-entrypoint-image          registry.example.com/tekton/pipeline-entrypoint:v1.15.1",
		"+  serviceAccountName: gitsa",
		"+        value: /tekton/creds/.docker",
		`TriggerBinding "git-binding" does not exist in namespace "default"`,
		"EventListener default/git-listener is accepted",
		"the event may continue",
		"the event stops here: Unauthenticated",
		"All of it in ",
	} {
		_, after, found := strings.Cut(text, want)
		if !found {
			t.Fatalf("%q is missing, or out of order, in\n%s", want, out.String())
		}
		text = after
	}
	if !existing && strings.Contains(out.String(), "stay in your cluster") {
		t.Error("the demo mentions a cluster that does not exist")
	}
	if left, err := exec.Command("find", tmp, "-mindepth", "1").Output(); err != nil || len(left) > 0 {
		t.Errorf("left behind (error %v):\n%s", err, left)
	}
}
