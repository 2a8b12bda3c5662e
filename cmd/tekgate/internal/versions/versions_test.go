package versions

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/installer"
	lines "github.com/tekgate/tekgate/internal/release"
)

func on(t *testing.T, day string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestVersionsWithoutCluster lists the lines and marks those whose support has ended. Without a
// kubeconfig there is no line about a cluster.
func TestVersionsWithoutCluster(t *testing.T) {
	t.Setenv("KUBECONFIG", clitest.File(t, "kubeconfig", ""))
	program := func(day string) clitest.Program {
		return clitest.Program{func() *cobra.Command { return Command(func() time.Time { return on(t, day) }) }}
	}
	for day, ended := range map[string]int{
		"2026-10-31": 0, "2026-11-01": 1, "2027-05-05": 3, "2030-01-01": len(lines.Lines),
	} {
		out, errOut := program(day).Must(t, "versions")
		if got := strings.Count(out, "(ended)"); got != ended || errOut != "" {
			t.Errorf("%s: %d lines have ended, want %d; messages %q", day, got, ended, errOut)
		}
		clitest.InOrder(t, out, "KUBERNETES", "v1.15.1", "v0.37.0", "1.28.0 or newer", "2027-07-31", "default",
			"v1.6.6")
	}
	var r report
	out, _ := program("2026-12-01").Must(t, "versions", "-o", "json")
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Lines) != len(lines.Lines) || r.Cluster != nil ||
		!r.Lines[3].Ended || r.Lines[2].Ended {
		t.Errorf("error %v: %s", err, out)
	}
	out, _ = program("2026-12-01").Must(t, "versions", "-o", "yaml")
	if !strings.Contains(out, "pipeline: v1.12.2\n") {
		t.Errorf("YAML: %s", out)
	}
	_, errOut := program("2026-12-01").Must(t, "versions", "--kubeconfig", "/does/not/exist")
	if !strings.Contains(errOut, "warning: the cluster is left out: reading kubeconfig /does/not/exist") {
		t.Errorf("a kubeconfig that is not there: %q", errOut)
	}
}

// TestMissingKubeconfig holds that a KUBECONFIG that names no file is reported.
func TestMissingKubeconfig(t *testing.T) {
	t.Setenv("KUBECONFIG", "/does/not/exist")
	program := clitest.Program{func() *cobra.Command { return Command(time.Now) }}
	_, errOut := program.Must(t, "versions")
	const want = "warning: the cluster is left out: no cluster is named: KUBECONFIG names /does/not/exist, which does not exist"
	if !strings.Contains(errOut, want) {
		t.Errorf("%q lacks %q", errOut, want)
	}
}

func TestDue(t *testing.T) {
	tests := []struct{ running, day, command, reason string }{
		{"v1.15.1", "2026-09-01", "", ""},
		{"v1.16.0", "2026-09-01", "", ""},
		{"v1.15.0", "2026-09-01", "tekgate upgrade --to v1.15", "newer patch release v1.15.1"},
		{"v1.12.2", "2026-09-01", "", ""},
		{"v1.12.2", "2027-05-05", "tekgate upgrade --to v1.15", "ended on 2027-05-04"},
		{"v1.14.0", "2026-09-01", "tekgate upgrade --to v1.15", "of no long-term line"},
		{"v0.44.0", "2026-09-01", "tekgate upgrade --to v1.15", "older than v1.15.1"},
		{"devel", "2026-09-01", "", ""},
		{"", "2026-09-01", "", ""},
	}
	for _, tt := range tests {
		command, reason := due(installer.Versions{Pipeline: tt.running}, on(t, tt.day))
		if command != tt.command || !strings.Contains(reason, tt.reason) {
			t.Errorf("%s on %s: %q, %q", tt.running, tt.day, command, reason)
		}
	}
}
