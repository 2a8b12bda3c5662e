package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/e2e/bench/report"
)

// TestMain makes the test binary usable as the program's own child processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"serve", "attack"}, os.Args[1]) {
		os.Exit(execute())
	}
	os.Exit(m.Run())
}

// Two benchmarks run from end to end with the candidates that need no peer and no cluster,
// and their measurements can be rendered again.
func TestWithoutPeers(t *testing.T) {
	data := filepath.Join(t.TempDir(), "results.json")
	var out, errOut strings.Builder
	err := run(t.Context(), []string{
		"--rounds", "1", "--span", "100ms", "--only", "throughput,handshakes", "--json", data,
		"--without", "tekgate,gatekeeper,kyverno,tekton,pod-identity",
	}, &out, &errOut)
	if err != nil {
		t.Fatalf("%v\n%s", err, errOut.String())
	}
	for _, part := range []string{
		"# Benchmarks\n", "## throughput\n", "## handshakes\n", "| null | ", "| kubebuilder | ",
		"| not measured |\n",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the report lacks %q", part)
		}
	}
	if strings.Contains(out.String(), "The benchmark failed") {
		t.Errorf("a benchmark failed:\n%s", out.String())
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(out.String(), host) {
		t.Errorf("the report names the machine %s", host)
	}
	var again strings.Builder
	err = run(t.Context(), []string{"--from", data}, &again, &errOut)
	if err != nil || again.String() != out.String() {
		t.Errorf("rendered again, with error %v:\n%s\nwant\n%s", err, again.String(), out.String())
	}
}

func TestRunFails(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--only", "cpu,gpu"}, "there is no benchmark gpu: use some of cpu, throughput"},
		{[]string{"--rounds", "0"}, "--rounds is 0"},
		{[]string{"--only", "cpu", "--without", "null,tekgate,gatekeeper,kyverno"}, "--without null"},
		{[]string{"--without", "kyvreno"}, "there is no candidate kyvreno"},
		{[]string{"--from", "testdata/missing.json"}, "reading measurements: open testdata/missing.json"},
	} {
		var out, errOut strings.Builder
		err := run(t.Context(), tt.args, &out, &errOut)
		if err == nil || !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
			t.Errorf("%q gives error %v and output %q, want an error with %q", tt.args, err, out.String(), tt.want)
		}
	}
}

// Each benchmark is described, in the order in which they run.
func TestBenchmarks(t *testing.T) {
	d, err := report.Describe()
	if err != nil {
		t.Fatal(err)
	}
	var described, run []string
	for _, b := range d.Benchmarks {
		described = append(described, b.ID)
	}
	for _, b := range benchmarks() {
		run = append(run, b.id)
	}
	if !slices.Equal(described, run) {
		t.Errorf("report/benchmarks.yaml describes %v, want %v", described, run)
	}
}
