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
		if err == nil || !strings.Contains(err.Error(), "tekgate credentials git") ||
			strings.Contains(err.Error(), repo) {
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

// A repository that no forge has by that name would never match an event's.
func TestScaffoldRepositoryIsLocatable(t *testing.T) {
	for _, tt := range []struct{ provider, repo, want string }{
		{"gitea", "git@git.example.com:2222/team/app.git", "ssh://git@git.example.com:2222/team/app.git"},
		{"gitlab", "git@git.example.com:2222/team/sub/app.git", "ssh://git@git.example.com:2222/team/sub/app.git"},
		{"gitea", "https://git.example.com/gitea/team/app.git", "its name is OWNER/NAME"},
		{"github", "https://github.com/a/b/c", "its name is OWNER/NAME"},
		{"github", "https://github.com/team/app/tree/main", "its name is OWNER/NAME"},
		{"", "https://github.com/team/app/tree/main", "its name is OWNER/NAME"},
		{"", "https://git.example.com/team/app/tree/main", "its name is OWNER/NAME"},
		{"bitbucket", "https://bitbucket.org/team/app/src/main", "its name is OWNER/NAME"},
		{"gitlab", "https://gitlab.com/team/app/-/tree/main", "OWNER/NAME"},
		{"gitee", "https://gitee.com/../app", "OWNER/NAME"},
	} {
		out, _, err := hookTool(t, "scaffold", "--repo="+tt.repo, "--image=app", "--provider="+tt.provider)
		if err == nil || out != "" || !strings.Contains(err.Error(), "reading --repo") ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s at %s: error %v lacks %q", tt.repo, tt.provider, err, tt.want)
		}
	}
	for repo, provider := range map[string]string{
		"https://gitlab.example.com/group/sub/sub/app.git": "gitlab", "git@git.example.com:2222/app.git": "gitea",
		"ssh://git@git.example.com:2222/team/app.git": "gitea", "https://git.example.com:3000/team/app": "gitea",
		"https://git.example.com/team/app": "bitbucket", "git@gitee.com:/team/app.git": "gitee",
	} {
		if _, _, err := hookTool(t, "scaffold", "--repo="+repo, "--image=app", "--provider="+provider); err != nil {
			t.Errorf("%s at %s: %v", repo, provider, err)
		}
	}
}
