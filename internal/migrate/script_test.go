package migrate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository makes a repository with two commits on main, a tag on the first, and returns
// its path and the hashes of both.
func repository(t *testing.T) (path, first, second string) {
	t.Helper()
	path = t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=t", "-c",
			"user.email=t@example.com", "-C", path}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet", "--initial-branch=main")
	git("commit", "--quiet", "--allow-empty", "-m", "first")
	git("tag", "v1")
	first = git("rev-parse", "HEAD")
	git("commit", "--quiet", "--allow-empty", "-m", "second")
	return path, first, git("rev-parse", "HEAD")
}

// TestGitScript runs the script of the step that fetches a git input.
func TestGitScript(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	path, first, second := repository(t)
	all := map[string]bool{}
	for _, f := range types["git"].fields {
		all[f.name] = true
	}
	for _, test := range []struct {
		name string
		has  map[string]bool
		env  []string
		want string // the commit, "" for an error
	}{
		{"no revision", nil, []string{"REVISION="}, second},
		{"branch", nil, []string{"REVISION=main"}, second},
		{"tag", nil, []string{"REVISION=v1"}, first},
		{"unknown", nil, []string{"REVISION=nosuch"}, ""},
		{"an option", nil, []string{"REVISION=--upload-pack=touch /tmp/owned"}, ""},
		{"all fields", all, []string{"REVISION=v1", "REFSPEC=", "DEPTH=1", "SUBMODULES=true", "SSL_VERIFY=true"}, first},
		{"a refspec", all, []string{"REVISION=v1", "REFSPEC=refs/tags/v1:refs/tags/v1 refs/heads/main", "DEPTH=0",
			"SUBMODULES=false", "SSL_VERIFY=false"}, first},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			script := gitScript(declared{name: "source", kind: "git"}, test.has, false)
			script = strings.NewReplacer("/workspace/source", folder+"/source", "$(results.source-commit.path)",
				folder+"/commit").Replace(script)
			cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
			cmd.Env = append([]string{"HOME=" + folder, "PATH=" + os.Getenv("PATH"), "URL=file://" + path}, test.env...)
			out, err := cmd.CombinedOutput()
			if (err == nil) != (test.want != "") {
				t.Fatalf("got %v\n%s", err, out)
			}
			commit, _ := os.ReadFile(filepath.Join(folder, "commit"))
			if string(commit) != test.want {
				t.Errorf("got commit %q, want %q\n%s", commit, test.want, out)
			}
		})
	}
}
