package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
)

// Request is what match conditions are asked about. Object and Old are nil where the
// request has none.
type Request struct {
	Operation string         `json:"operation"` // CREATE or UPDATE
	Namespace string         `json:"namespace,omitempty"`
	Resource  string         `json:"resource"`
	User      string         `json:"user,omitempty"`
	DryRun    bool           `json:"dryRun,omitempty"`
	Object    map[string]any `json:"object"`
	Old       map[string]any `json:"old,omitempty"`
}

// Answer says whether the webhook would be called, and otherwise by which condition
// it is not. Error is what a condition failed with, in compiling or evaluation.
type Answer struct {
	Matches bool   `json:"matches"`
	By      string `json:"by"`
	Error   string `json:"error"`
}

// Conditions evaluates match conditions by the API server's own code.
type Conditions struct {
	to   *json.Encoder
	from *json.Decoder
}

// StartConditions starts the program of e2e/controlplane/conditions, which is built
// on first use, for as long as the test runs.
func StartConditions(t testing.TB) *Conditions {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the API server's code, which -short does without")
	}
	folder, err := BuildConditions(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "conditions")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program) // it ends when nobody asks any more
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("evaluating match conditions: %v", err)
		}
	})
	return &Conditions{to: json.NewEncoder(in), from: json.NewDecoder(bufio.NewReader(out))}
}

// BuildConditions returns the folder in the cache that holds that program, and builds
// it if need be.
func BuildConditions(ctx context.Context, log io.Writer) (string, error) {
	dir, err := controlPlaneDir(ctx)
	if err != nil {
		return "", err
	}
	var key []byte
	for _, name := range []string{"go.sum", "conditions/main.go"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("reading the sources of the program that evaluates conditions: %w", err)
		}
		key = append(key, text...)
	}
	return Recipe{
		Name: "conditions", Dir: dir, Key: string(key) + buildRecipe,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: map[string]string{"conditions": "./conditions"},
	}.Build(ctx, log)
}

// Ask evaluates conditions for one request.
func (c *Conditions) Ask(t testing.TB, conditions []admissionv1.MatchCondition, request Request) Answer {
	t.Helper()
	question := struct {
		Conditions []admissionv1.MatchCondition `json:"conditions"`
		Request
	}{conditions, request}
	if err := c.to.Encode(question); err != nil {
		t.Fatalf("asking about match conditions: %v", err)
	}
	var answer Answer
	if err := c.from.Decode(&answer); err != nil {
		t.Fatalf("asking about match conditions: %v", err)
	}
	return answer
}
