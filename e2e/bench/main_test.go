package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMain lets the test binary be the arms that the program is, see serveCommand and
// attackCommand.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"serve", "attack"}, os.Args[1]) {
		os.Exit(execute())
	}
	os.Exit(m.Run())
}

// TestWithoutPeers runs two benchmarks from end to end with what needs no peer and no
// cluster: the null handler and the kubebuilder idiom, each in a process of its own.
func TestWithoutPeers(t *testing.T) {
	var out, talk strings.Builder
	err := run(t.Context(), []string{
		"--rounds", "1", "--span", "100ms", "--only", "B1,B7", "--without", "tekgate,gatekeeper,kyverno,tekton,pod-identity",
	}, &out, &talk)
	if err != nil {
		t.Fatalf("%v\n%s", err, talk.String())
	}
	for _, part := range []string{
		"# Benchmarks\n", "## B1: ", "## B7: ", "| null | ", "| kubebuilder | ",
		"| B1 | CPU of Tekgate, in multiples of null's | ≤ 1.50 |  |  | not measured |\n",
	} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the report lacks %q", part)
		}
	}
	if strings.Contains(out.String(), "Not measured") {
		t.Errorf("a benchmark was not measured:\n%s", out.String())
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(out.String(), host) {
		t.Errorf("the report names the machine %s", host)
	}
}

func TestRunFails(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--only", "B1,B99"}, "there is no benchmark B99: choose of B1, B2"},
		{[]string{"--rounds", "0"}, "--rounds is 0"},
		{[]string{"--only", "B1", "--without", "null,tekgate,gatekeeper,kyverno,tekton,pod-identity"}, "--without null"},
		{[]string{"--without", "kyvreno"}, "there is no arm kyvreno"},
	} {
		var out, talk strings.Builder
		err := run(t.Context(), tt.args, &out, &talk)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q gives error %v, want one with %q", tt.args, err, tt.want)
		}
	}
}

// TestBenchmarks holds that each row says what it has to say, and that goals are about
// something that can be met or missed.
func TestBenchmarks(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range benchmarks() {
		if seen[b.ID] || b.Title == "" || b.Load == "" || b.Silent == "" || b.Run == nil {
			t.Errorf("%s is there twice, or lacks its title, load, what it does not show, or its function", b.ID)
		}
		seen[b.ID] = true
		for _, g := range b.Goals {
			if g.Text == "" || g.What == "" || g.Over == "" || (g.AtMost == nil) == (g.AtLeast == nil) {
				t.Errorf("%s: the goal %+v is incomplete", b.ID, g)
			}
		}
	}
}
