package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// The demo checks each of its own claims; this checks that it shows them.
func TestDemo(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/tekgate", "../../cmd/webhook", "../../cmd/interceptor").CombinedOutput(); err != nil {
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
		"146 created, 0 configured, 0 unchanged",
		"-entrypoint-image          registry.example.com/tekton/pipeline-entrypoint:v1.15.0",
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
			t.Fatalf("%q does not follow in\n%s", want, out.String())
		}
		text = after
	}
	if left, err := exec.Command("find", tmp, "-mindepth", "1").Output(); err != nil || len(left) > 0 {
		t.Errorf("left behind (error %v):\n%s", err, left)
	}
}
