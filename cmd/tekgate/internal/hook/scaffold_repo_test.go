package hook

import (
	"strings"
	"testing"
)

// TestScaffoldHidesUserInfo refuses an address with a user or a password, which would be in the
// objects, and repeats no part of it.
func TestScaffoldHidesUserInfo(t *testing.T) {
	const secret = "ghp_S3cretS3cretS3cretS3cretS3cretS3cret"
	for _, repo := range []string{
		"https://user:" + secret + "@gitee.com/team/app.git",
		"https://u:" + secret + "%zz@github.com/team/app",
		"https://u:" + secret + "#x@github.com/team/app",
		"https://u:" + secret + "/x@github.com/team/app",
		"https://u:" + secret + "@x@github.com/team/app",
		"https://" + secret + "@github.com/team/app.git",
		"https://" + secret + ":x-oauth-basic@github.com/team/app.git",
		"http://" + secret + "@github.com/team/app.git",
		"ssh://" + secret + "@github.com/team/app.git",
		"ssh://git:" + secret + "@github.com/team/app.git",
		"ftp://u:" + secret + "@github.com/team/app.git",
		"user:" + secret + "@github.com:team/app.git",
		"user:" + secret + "@github.com/team/app.git",
		secret + "@github.com:team/app.git",
		"https:/u:" + secret + "@github.com/team/app",
		"https://github.com/team/app?access_token=" + secret,
		"https://github.com/team/app?access_token=a@" + secret,
		"https://github.com/team/app#" + secret,
		"https://u:" + secret + "@github.com/team/app name",
	} {
		out, errOut, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app")
		if err == nil || out != "" || !strings.Contains(err.Error(), "--repo") {
			t.Errorf("%s: got %q, error %v", repo, out, err)
			continue
		}
		if said := err.Error() + errOut; strings.Contains(said, secret[:9]) {
			t.Errorf("%s: the secret is printed: %s", repo, said)
		}
	}
	for _, repo := range []string{"https://tok@gitee.com/team/app.git", "http://git@gitee.com/team/app.git"} {
		_, _, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app")
		if err == nil || !strings.Contains(err.Error(), "tekgate credentials git") || strings.Contains(err.Error(), repo) {
			t.Errorf("%s: error %v lacks the remedy", repo, err)
		}
	}
	for _, api := range []string{"me:" + secret + "@git.example.com", "https://me:" + secret + "%zz@git.example.com"} {
		_, errOut, err := hookTool(t, "scaffold", "--repo=https://gitee.com/team/app", "--image=app", "--status",
			"--status-api-url="+api)
		if err == nil || strings.Contains(err.Error()+errOut, secret[:9]) {
			t.Errorf("%s: error %v", api, err)
		}
	}
	for _, repo := range []string{"git@gitee.com:team/app.git", "org-12345@github.com:team/app.git",
		"ssh://git@gitee.com:22/team/app.git", "ssh://gitee.com/team/app"} {
		out, _, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app")
		if err != nil || !strings.Contains(out, `{name: url, value: "`+repo+`"}`) {
			t.Errorf("%s: error %v\n%s", repo, err, out)
		}
	}
}

// A repository whose name makes no name of objects takes --name.
func TestScaffoldNeedsName(t *testing.T) {
	for _, repo := range []string{"https://gitee.com/team/中文", "https://gitee.com/team/___"} {
		_, _, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app")
		if err == nil || !strings.Contains(err.Error(), "with --name") || strings.Contains(err.Error(), `""`) {
			t.Errorf("%s: error %v", repo, err)
		}
		if _, _, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app", "--name=x"); err != nil {
			t.Errorf("%s: %v", repo, err)
		}
	}
}
