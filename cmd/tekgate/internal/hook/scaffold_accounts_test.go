package hook

import (
	"strings"
	"testing"
)

// Roles whose ServiceAccounts are one would share their rights.
func TestScaffoldAccountsDiffer(t *testing.T) {
	for _, args := range [][]string{
		{"--deploy=d.yaml", "--service-account=app-deploy"},
		{"--deploy=d.yaml", "--deploy-account=app-build"},
		{"--deploy=d.yaml", "--deploy-account=app-listener"},
		{"--deploy=d.yaml", "--deploy-account=app-status", "--status"},
		{"--deploy=d.yaml", "--deploy-account=same", "--service-account=same"},
		{"--service-account=app-listener"},
		{"--service-account=app-status", "--status"},
	} {
		out, _, err := hookTool(t, append([]string{"scaffold", "--repo=https://gitee.com/team/app", "--image=app"},
			args...)...)
		if err == nil || out != "" || !strings.Contains(err.Error(), "-account") ||
			!strings.Contains(err.Error(), "share rights") {
			t.Errorf("%v: error %v", args, err)
		}
	}
	for _, args := range [][]string{{"--service-account=app-deploy"}, {"--service-account=app-status"},
		{"--deploy=d.yaml", "--deploy-account=app-status"}} {
		if _, _, err := hookTool(t, append([]string{"scaffold", "--repo=https://gitee.com/team/app", "--image=app"},
			args...)...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}
