package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestManyWarnings holds that warnings about an object with many faults reach its user whole through
// a real API server, which would cut and drop them, and that the last one says how many more there are.
func TestManyWarnings(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-task.yaml")
	b.configure()
	var rules strings.Builder
	for _, id := range []string{"kaniko-archived", "kaniko-insecure", "kaniko-floating-tag", "kaniko-no-digest"} {
		fmt.Fprintf(&rules, "    %s: {mode: warn}\n", id)
	}
	b.reconfigure("validator:\n  rules:\n" + rules.String())
	var steps []any
	for i := range 40 {
		steps = append(steps, map[string]any{"name": fmt.Sprintf("push-%d", i), "image": "gcr.io/kaniko-project/executor:latest",
			"args": []any{"--insecure", "--skip-tls-verify", fmt.Sprintf("--destination=registry.example.com/a%d", i)}})
	}
	task := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "tekton.dev/v1", "kind": "Task",
		"metadata": map[string]any{"name": "many", "namespace": metav1.NamespaceDefault},
		"spec":     map[string]any{"steps": steps}}}
	c, heard := b.warned()
	if err := c.Create(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	lines := heard.take()
	text := strings.Join(lines, "\n")
	for _, id := range []string{"kaniko-archived", "kaniko-insecure"} {
		if !strings.Contains(text, "(rule "+id+"); the same rule has ") {
			t.Errorf("no warning has the findings of %s together:\n%s", id, text)
		}
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n == 256 || !strings.Contains(line, " ") || strings.HasSuffix(line, "…") {
			t.Errorf("a warning of %d characters is cut: %s", n, line)
		}
	}
	if n := utf8.RuneCountInString(text); n > 4096 {
		t.Errorf("%d characters:\n%s", n, text)
	}
	b.stop()
	b.stops()
}
