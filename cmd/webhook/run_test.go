package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const unreachable = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users: [{name: u, user: {}}]
current-context: c
`

// TestRunFails holds that each mistake ends in one sentence.
func TestRunFails(t *testing.T) {
	dir := t.TempDir()
	kubeconfig := write(t, dir, "kubeconfig", unreachable)
	empty := write(t, dir, "empty", "")
	badConfig := write(t, dir, "config.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmutator: {dockerConfg: {}}\n")
	t.Setenv("KUBECONFIG", filepath.Join(dir, "nowhere"))
	t.Setenv("HOME", dir)
	tests := []struct {
		name string
		args []string
		want []string
	}{
		{"no kubeconfig", nil, []string{"this is no Pod", "--kubeconfig"}},
		{"unreachable server", []string{"--kubeconfig", kubeconfig},
			[]string{"reaching the API server at https://127.0.0.1:1", "connection refused"}},
		{"no such kubeconfig", []string{"--kubeconfig", filepath.Join(dir, "none")},
			[]string{"finding the API server", "none"}},
		{"empty kubeconfig", []string{"--kubeconfig", empty}, []string{"finding the API server"}},
		{"no such configuration", []string{"--config", filepath.Join(dir, "none.yaml")}, []string{"none.yaml"}},
		{"misspelt configuration", []string{"--config", badConfig}, []string{`did you mean "dockerConfig"`}},
		{"unknown flag", []string{"--kubecfg", "x"}, []string{"unknown flag: --kubecfg"}},
		{"argument", []string{"serve"}, []string{"serve"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, logs strings.Builder
			err := run(t.Context(), tt.args, &out, &logs)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(logs.String(), "goroutine") {
				t.Errorf("error %q and log %q are not one sentence", err, logs.String())
			}
		})
	}
}

func TestBindAddress(t *testing.T) {
	for address, want := range map[string]bool{
		":8443": true, "127.0.0.1:9443": true, "[::1]:9443": true,
		"": false, "8443": false, ":0": false, ":https": false, ":99999": false,
	} {
		err := checkAddress(address)
		if (err == nil) != want {
			t.Errorf("%q gives error %v", address, err)
		}
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--help"}, &out, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "--bind-address") {
		t.Errorf("got %q", out.String())
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
