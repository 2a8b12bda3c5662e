package credentials

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tektoncd/pipeline/pkg/credentials/gitcreds"
	"github.com/tektoncd/pipeline/pkg/credentials/matcher"
)

func TestHosts(t *testing.T) {
	const group = "!name the host, https://git.example.com, or the URL of each whole repository, such as " +
		"https://git.example.com/team/REPOSITORY.git"
	tests := []struct{ in, ssh, basic string }{ // "!" begins the error that is wanted
		{"git.example.com", "git.example.com", "https://git.example.com"},
		{"git.example.com:2222", "git.example.com:2222", "https://git.example.com:2222"},
		{"ssh://git@git.example.com/", "git.example.com", "!a password needs the URL"},
		{"git@git.example.com:team/app.git", "!a key is for a whole server", "!a password needs the URL"},
		{"git@git.example.com:team", "!such as git.example.com", "!a password needs the URL"},
		{"ssh://git@git.example.com:2222/team", "!a key is for a whole server", "!a password needs the URL"},
		{"https://git.example.com/", "!a key is for", "https://git.example.com"},
		{"Git.Example.com:2222", "git.example.com:2222", "https://git.example.com:2222"},
		{"http://git.local", "!a key is for", "http://git.local"},
		{"https://Git.Example.com", "!a key is for", "https://git.example.com"},
		{"https://git.example.com/team", "!a key is for", group},
		{"https://git.example.com/team/", "!a key is for", group},
		{"https://git.example.com//team//", "!a key is for", group},
		{"git.example.com/team", "!a key is for", group},
		{"https://git.example.com:8443/team", "!a key is for", "!name the host, https://git.example.com:8443, or"},
		{"http://git.example.com/team", "!a key is for", "!name the host, http://git.example.com, or"},
		{"https://user@git.example.com/team", "!a key is for", "!leave user and password out"},
		{"https://user:sesame@git.example.com", "!a key is for", "!leave user and password out"},
		{"https://git.example.com/app.git", "!a key is for", "https://git.example.com/app.git"},
		{"https://git.example.com/team/app.git", "!a key is for", "https://git.example.com/team/app.git"},
		{"https://git.example.com/team/app.git/", "!a key is for", "https://git.example.com/team/app.git"},
		{"https://git.example.com/team/app", "!a key is for", "https://git.example.com/team/app"},
		{"https://*.example.com", "!a key is for", "!a password needs the URL"},
		{"https://git.example.com/a=b/c.git", "!a key is for", "!a password needs the URL"},
		{"", "!a key is for", "!a password needs the URL"},
	}
	check := func(in, got string, err error, want string) {
		t.Helper()
		message, fails := strings.CutPrefix(want, "!")
		if fails &&
			(err == nil || !strings.Contains(err.Error(), message) || strings.Contains(err.Error(), "sesame")) ||
			!fails && (err != nil || got != want) {
			t.Errorf("%s: got %q and error %v, want %q", in, got, err, want)
		}
	}
	for _, tt := range tests {
		got, err := sshHost(tt.in)
		check(tt.in, got, err, tt.ssh)
		got, err = basicHost(tt.in)
		check(tt.in, got, err, tt.basic)
	}
}

// step writes what Tekton's own code gives to steps for Secrets s0, s1 … with these URLs, and
// returns the home folder; none where Tekton refuses them.
func step(t *testing.T, urls ...string) string {
	t.Helper()
	matcher.VolumePath = t.TempDir()
	flags := flag.NewFlagSet("entrypoint", flag.ContinueOnError)
	flags.SetOutput(t.Output())
	gitcreds.AddFlags(flags)
	var args []string
	for i, url := range urls {
		name := "s" + string(rune('0'+i))
		for key, text := range map[string]string{"username": "user-" + name, "password": name} {
			path := filepath.Join(matcher.VolumePath, name, key)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		args = append(args, "-basic-git="+name+"="+url)
	}
	if flags.Parse(args) != nil {
		return ""
	}
	home := t.TempDir()
	if err := gitcreds.NewBuilder().Write(home); err != nil {
		t.Fatal(err)
	}
	return home
}

// fill returns the Secret whose password git uses for a URL, or "none".
func fill(t *testing.T, home, url string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "credential", "fill")
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1"}
	cmd.Stdin = strings.NewReader("url=" + url + "\n\n")
	out, err := cmd.Output()
	if err != nil {
		return "none"
	}
	for line := range strings.Lines(string(out)) {
		if password, ok := strings.CutPrefix(line, "password="); ok {
			return strings.TrimSpace(password)
		}
	}
	return "none"
}

// TestGitHostsAsGit compares what is refused, warned about and accepted with what git itself finds
// in the files that Tekton's own code writes.
func TestGitHostsAsGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	const app = "https://h.test/team/app.git"
	tests := []struct {
		urls    []string // as Tekgate gets them, one Secret each
		fetched string
		git     string // the Secret whose password git uses, "none", or "no step" if Tekton ends them
		judged  string // part of the error or warning; empty for none
	}{
		{[]string{"https://h.test"}, app, "s0", ""},
		{[]string{"https://h.test:8443"}, "https://h.test:8443/team/app.git", "s0", ""},
		{[]string{app}, app, "s0", ""},
		{[]string{"https://h.test/app.git"}, "https://h.test/app.git", "s0", ""},
		{[]string{"https://h.test/team"}, app, "none", "a group's URL"},
		{[]string{"https://h.test/team/"}, app, "none", "a group's URL"},
		{[]string{"https://h.test:8443/team"}, "https://h.test:8443/team/app.git", "none", "a group's URL"},
		{[]string{"https://h.test/team/app"}, "https://h.test/team/app", "s0", "is taken for a repository"},
		{[]string{"https://h.test/team/sub"}, "https://h.test/team/sub/app.git", "none", "is taken for a repository"},
		{[]string{"https://h.test:443"}, app, "none", "counts only for URLs that spell out the port"},
		{[]string{"https://h.test:443"}, "https://h.test:443/team/app.git", "s0", "counts only for URLs that spell out the port"},
		{[]string{"https://*.test"}, app, "none", "a password needs the URL"},
		{[]string{"https://h.test", "https://h.test/team"}, app, "none", "a group's URL"},
		{[]string{"https://h.test", app}, app, "s1", ""},
		{[]string{app, "https://h.test"}, app, "none", "comes after it"},
		{[]string{"https://h.test", "https://h.test/"}, app, "s1", "only that of the later, s1, is used"},
		{[]string{"https://h.test", "http://h.test"}, app, "s0", ""},
		{[]string{"https://h.test", "https://h.test"}, app, "no step", "Tekton ends every step"},
		{[]string{app, app}, app, "no step", "Tekton ends every step"},
		{[]string{"h.test"}, app, "none", "has no scheme"},
		{[]string{"https://H.test"}, app, "none", "H.test is written as h.test"},
		{[]string{"https://H.test"}, "https://H.test/team/app.git", "s0", "H.test is written as h.test"},
		{[]string{"https://h.test"}, "https://H.test/team/app.git", "none", ""},
		{[]string{"https://H.test", "https://h.test"}, app, "s1", "H.test is written as h.test"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.urls, " and ")+", "+tt.fetched, func(t *testing.T) {
			got := "no step"
			if home := step(t, tt.urls...); home != "" {
				got = fill(t, home, tt.fetched)
			}
			if got != tt.git {
				t.Errorf("git uses %s, want %s", got, tt.git)
			}
			if said := judgement(tt.urls); tt.judged == "" && said != "" || !strings.Contains(said, tt.judged) {
				t.Errorf("judged %q, want %q", said, tt.judged)
			}
		})
	}
}

// judgement returns every error and warning about URLs, one Secret each, of which the last is
// written.
func judgement(written []string) string {
	var said []string
	var urls []gitURL
	for i, each := range written {
		name := "s" + string(rune('0'+i))
		urls = append(urls, gitURLs(name, map[string]string{"tekton.dev/git-0": each})...)
		if !strings.Contains(each, "://") {
			continue // an annotation of someone else: on the command line it would be completed
		}
		if warning := caseWarning(each); warning != "" {
			said = append(said, warning)
		}
		host, err := basicHost(each)
		if err != nil {
			said = append(said, err.Error())
		}
		said = append(said, hostWarnings(host)...)
	}
	last := urls[len(urls)-1].secret
	if err := clash("ci", last, urls); err != nil {
		said = append(said, err.Error())
	}
	return strings.Join(append(said, conflicts("ci", last, urls)...), "\n")
}

// TestCapitalsAsSSH holds that ssh takes a key only for the capitals that Tekton's own code writes.
func TestCapitalsAsSSH(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("ssh is not installed")
	}
	written, err := sshHost("Git.Example.com")
	if err != nil || caseWarning("Git.Example.com") == "" {
		t.Fatalf("%s, %v", written, err)
	}
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("Host "+written+"\n    IdentityFile /given\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"git.example.com": true, "Git.Example.com": false} {
		out, err := exec.CommandContext(t.Context(), "ssh", "-G", "-F", config, host).Output()
		if err != nil || strings.Contains(string(out), "identityfile /given") != want {
			t.Errorf("%s: %v\n%s", host, err, out)
		}
	}
}

// TestHostWithoutScheme holds that a host without a scheme gets one: in an annotation it would
// not work.
func TestHostWithoutScheme(t *testing.T) {
	host, err := basicHost("h.test")
	if err != nil {
		t.Fatal(err)
	}
	if got := fill(t, step(t, host), "https://h.test/team/app.git"); got != "s0" {
		t.Errorf("git uses %s", got)
	}
}
