package hook

import (
	"strings"
	"testing"
)

// TestScaffoldDerivesProvider holds that the provider of a known host is its own, and that one
// that is only assumed is said to be.
func TestScaffoldDerivesProvider(t *testing.T) {
	for repo, want := range map[string]string{
		"https://gitee.com/team/app":             "gitee",
		"https://github.com/team/app.git":        "github",
		"git@GitHub.com:team/app.git":            "github",
		"ssh://git@ssh.github.com:443/team/app":  "github",
		"https://gitlab.com/team/sub/app":        "gitlab",
		"ssh://git@altssh.gitlab.com:443/team/a": "gitlab",
		"https://jihulab.com/team/app":           "gitlab",
		"https://gitcode.com/team/app":           "gitcode",
		"https://bitbucket.org/team/app":         "bitbucket",
		"https://codeberg.org/team/app":          "gitea",
		"https://gitea.com/team/app":             "gitea",
	} {
		out, errOut, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app")
		if err != nil || !strings.Contains(out, "{name: provider, value: "+want+"}") ||
			!strings.Contains(errOut, "provider "+want+", since ") ||
			!strings.Contains(errOut, "recommended one for "+want) {
			t.Errorf("%s: error %v\n%s\n%s", repo, err, errOut, out)
		}
	}
	const own = "--repo=https://git.example.com:3000/team/app"
	out, errOut, err := hookTool(t, "scaffold", own, "--image=app")
	if err != nil || !strings.Contains(out, "{name: provider, value: gitee}") ||
		!strings.Contains(errOut, "gitee is assumed, since the forge at git.example.com:3000 is not known") {
		t.Errorf("a host of one's own: error %v\n%s", err, errOut)
	}
	_, errOut, err = hookTool(t, "scaffold", own, "--image=app", "--provider=gitea")
	if err != nil || strings.Contains(errOut, "since") {
		t.Errorf("a provider that is given: error %v\n%s", err, errOut)
	}
}
