package hook

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// reportArgs returns the arguments of the step that reports.
func reportArgs(t *testing.T, named map[string]map[string]any) []string {
	t.Helper()
	steps, _, _ := unstructured.NestedSlice(named["Task/ci/app-status"], "spec", "steps")
	if len(steps) != 1 {
		t.Fatalf("the steps are %v", steps)
	}
	args, _, _ := unstructured.NestedStringSlice(steps[0].(map[string]any), "args")
	return args
}

// TestScaffoldStatusPlainHTTP holds that a token goes to an API without TLS with --plain-http only.
func TestScaffoldStatusPlainHTTP(t *testing.T) {
	const own = "--repo=http://git.example.com:3000/team/app"
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{own, "--provider=gitea", "--status"}, "--plain-http"},
		{[]string{own, "--provider=gitea", "--status", "--status-api-url=http://git.example.com"}, "--plain-http"},
		{[]string{own, "--provider=gitea", "--status", "--plain-http", "--status-api-url=ftp://x.example"},
			"has to be https"},
		{[]string{own, "--provider=gitea", "--status", "--plain-http", "--status-api-url=http://me:hunter2@x.example"},
			"has to be https"},
		{[]string{own, "--plain-http"}, "does nothing without --status"},
	} {
		out, _, err := hookTool(t, append([]string{"scaffold", "--image=app"}, tt.args...)...)
		if err == nil || out != "" || !strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v: error %v lacks %q", tt.args, err, tt.want)
		}
	}
	for _, tt := range []struct {
		args  []string
		api   string
		plain bool
	}{
		{[]string{"--provider=gitea", own, "--plain-http"}, "http://git.example.com:3000", true},
		{[]string{"--provider=gitea", own, "--status-api-url=https://git.example.com"},
			"https://git.example.com", false},
		{[]string{"--provider=gitea", "--repo=git@git.example.com:team/app", "--plain-http",
			"--status-api-url=http://git.example.com:3000"}, "http://git.example.com:3000", true},
		{[]string{"--provider=gitee", "--repo=http://gitee.com/team/app"}, "", false},
		{[]string{"--provider=gitea", "--repo=https://git.example.com/team/app", "--plain-http"}, "", false},
	} {
		_, named, said := scaffolded(t, append(tt.args, "--status")...)
		args := reportArgs(t, named)
		if slices.Contains(args, "--plain-http") != tt.plain ||
			strings.Contains(said, "--plain-http --api-url '"+tt.api) != tt.plain ||
			slices.Contains(args, "--api-url="+tt.api) != (tt.api != "") {
			t.Errorf("%v: the step has %q\n%s", tt.args, args, said)
		}
	}
}

// TestScaffoldStatusLinkFits refuses a --status-url whose links report-status would refuse.
func TestScaffoldStatusLinkFits(t *testing.T) {
	const before, after = "https://d.example.com/", "/{namespace}/{run}"
	fixed := len(before) + len("/ci/app-x1y2z")
	for length, fits := range map[int]bool{longestLink: true, longestLink + 1: false} {
		link := before + strings.Repeat("a", length-fixed) + after
		out, _, err := hookTool(t, "scaffold", "--repo=https://github.com/team/app", "--image=app", "-n=ci", "--status",
			"--status-url="+link)
		if (err == nil) != fits || !fits && (out != "" || !strings.Contains(err.Error(), "--status-url")) {
			t.Errorf("a link of %d bytes: error %v", length, err)
		}
		filled := strings.NewReplacer("{namespace}", "ci", "{run}", "app-x1y2z").Replace(link)
		s := forgetest.New(t, "github")
		_, _, err = hookTool(t, "report-status", "team/app", "--provider=github", "--api-url="+s.API(),
			"--sha="+forgetest.SHA, "--state=success", "--target-url="+filled, "--credentials="+mounted(t, s))
		if (err == nil) != fits || len(filled) != length {
			t.Errorf("report-status with a link of %d bytes: error %v", len(filled), err)
		}
	}
}
