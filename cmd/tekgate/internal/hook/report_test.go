package hook

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// asProgram makes the test's program the command line: see process.
const asProgram = "TEKGATE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	err := cli.Run(context.Background(), cli.Root(Command()), os.Args[1:],
		cli.Streams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	if err != nil {
		cli.PrintError(cli.Root(), os.Stderr, err)
	}
	os.Exit(cli.Status(err))
}

// process runs `tekgate hook` in a process of its own, whose arguments and children others on
// the machine can see.
func process(t *testing.T, args ...string) (printed string, err error) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"hook"}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	return out.String(), err
}

// inArguments returns the command lines of processes that have one of the secrets in them, and
// how many processes of this test's program there are.
func inArguments(t *testing.T, secrets ...string) (found []string, programs int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Errorf("no process to look at: %v", err)
	}
	for _, file := range files {
		line, _ := os.ReadFile(file) // the process may have ended
		if strings.HasPrefix(string(line), os.Args[0]) {
			programs++
		}
		for _, secret := range secrets {
			if strings.Contains(string(line), secret) {
				found = append(found, string(line))
			}
		}
	}
	return found, programs
}

// mounted is a Secret as the kubelet mounts it.
func mounted(t *testing.T, s *forgetest.Server) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{statusToken: forgetest.Token + "\n", statusCA: string(s.CA())} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestReportStatus reports what Tekton says about a run.
func TestReportStatus(t *testing.T) {
	for f, want := range map[forge.Forge]string{
		forge.Gitee: "check run failure", forge.GitCode: "comment on the commit failure",
		forge.GitHub: "commit status failure", forge.GitLab: "commit status failure", forge.Gitea: "commit status failure",
		forge.Forgejo: "commit status failure",
	} {
		s := forgetest.New(t, f)
		report := func(state string, more ...string) (string, error) {
			out, _, err := hookTool(t, append([]string{"report-status", forgetest.Path, "--provider=" + string(f),
				"--api-url=" + s.API(), "--credentials=" + mounted(t, s), "--sha=" + forgetest.SHA, "--state=" + state,
				"--target-url=https://dashboard.example.com/x"}, more...)...)
			return out, err
		}
		if out, err := report("pending"); err != nil || !strings.Contains(out, "pending of commit "+forgetest.SHA) {
			t.Errorf("%s: pending: %q, error %v", f, out, err)
		}
		out, err := report("Failed", "--context=ci/app")
		if err != nil || !strings.HasPrefix(out, want+" of commit "+forgetest.SHA+" of team/app is reported to ") {
			t.Errorf("%s: %q, want %q, error %v", f, out, want, err)
		}
		last := s.Statuses()[len(s.Statuses())-1]
		if last.Context+last.Comment == "" || !strings.Contains(last.Description+last.Comment, "the run has failed") {
			t.Errorf("%s has %+v", f, last)
		}
	}
}

func TestReportedStates(t *testing.T) {
	for state, want := range map[string]string{"Succeeded": "success", "Completed": "success", "Failed": "failure",
		"None": "error", "pending": "pending", "error": "error"} {
		s := forgetest.New(t, forge.Gitea)
		_, _, err := hookTool(t, "report-status", forgetest.Path, "--provider=gitea", "--api-url="+s.URL,
			"--state="+state, "--credentials="+mounted(t, s), "--sha="+forgetest.SHA)
		if all := s.Statuses(); err != nil || len(all) != 1 || all[0].State != want || all[0].Description == "" ||
			all[0].Context != "tekgate" || all[0].URL != "" {
			t.Errorf("%s: error %v; the forge has %+v", state, err, all)
		}
	}
}

func TestReportRefuses(t *testing.T) {
	s := forgetest.New(t, forge.Gitea)
	good := map[string]string{"--provider": "gitea", "--api-url": s.API(), "--credentials": mounted(t, s),
		"--sha": forgetest.SHA, "--state": "Succeeded"}
	empty := t.TempDir()
	hidden := mounted(t, s)
	if err := os.WriteFile(filepath.Join(hidden, statusToken), []byte("other-hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	alone := mounted(t, s)
	if err := os.Remove(filepath.Join(alone, statusCA)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		change     map[string]string // "" leaves a flag out
	}{
		{"no token", "one of --credentials", map[string]string{"--credentials": ""}},
		{"two tokens", "one of --credentials", map[string]string{"--credentials": "", "--token-file": "a", "--token-env": "B"}},
		{"a token beside the folder", "leave out --token-file", map[string]string{"--token-file": "a"}},
		{"an empty folder", "has no file token: create the Secret", map[string]string{"--credentials": empty}},
		{"a wrong token", "write:repository", map[string]string{"--credentials": hidden}},
		{"an untrusted certificate", "is not trusted", map[string]string{"--credentials": alone}},
		{"a name that does not resolve", "git.invalid does not resolve", map[string]string{"--api-url": "https://git.invalid"}},
		{"no commit", "--sha and --state are needed", map[string]string{"--sha": ""}},
		{"a branch", "whole hash", map[string]string{"--sha": "main"}},
		{"a path", "whole hash", map[string]string{"--sha": "../../../../user"}},
		{"a flag", "whole hash", map[string]string{"--sha": "--api-url=https://thief.example"}},
		{"no state", "--sha and --state are needed", map[string]string{"--state": ""}},
		{"another state", "is not known", map[string]string{"--state": "Running"}},
		{"a forge without statuses", "cannot report commit statuses to Gogs", map[string]string{"--provider": "gogs"}},
		{"an unknown forge", `did you mean "gitee"?`, map[string]string{"--provider": "gitae"}},
		{"a script for a link", "https://HOST", map[string]string{"--target-url": "javascript:x"}},
	} {
		args := []string{"report-status", forgetest.Path}
		for flag, value := range good {
			if _, changed := tt.change[flag]; !changed {
				args = append(args, flag+"="+value)
			}
		}
		for flag, value := range tt.change {
			if value != "" {
				args = append(args, flag+"="+value)
			}
		}
		out, _, err := hookTool(t, args...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || out != "" {
			t.Errorf("%s: error %v, want one sentence with %q; printed %q", tt.name, err, tt.want, out)
		}
	}
	if all := s.Statuses(); len(all) != 0 {
		t.Errorf("the forge has %+v", all)
	}
	for _, flag := range []string{"--token=x", "--password=x", "--access-token=x"} {
		if _, _, err := hookTool(t, "report-status", forgetest.Path, flag); err == nil ||
			!strings.Contains(err.Error(), "unknown flag") {
			t.Errorf("%s: error %v", flag, err)
		}
	}
}

// TestReportKeepsItsToken runs the command in a process of its own, and looks for the token in
// the arguments of all processes while the forge is asked, and in what is printed.
func TestReportKeepsItsToken(t *testing.T) {
	t.Setenv("FORGE_TOKEN", forgetest.Token)
	for _, f := range []forge.Forge{forge.Gitee, forge.GitCode, forge.GitHub, forge.GitLab, forge.Gitea} {
		for _, fail := range []bool{false, true} {
			s := forgetest.New(t, f)
			var seen atomic.Int32
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				found, programs := inArguments(t, forgetest.Token)
				if seen.Add(1); len(found) > 0 || programs < 2 {
					t.Errorf("%d programs; the token is in the arguments %q", programs, found)
				}
				if fail { // a forge that repeats what it was sent
					s.Fail(w, http.StatusUnprocessableEntity, "no token "+forgetest.Token)
				}
				return fail
			}
			for _, token := range [][]string{{"--credentials=" + mounted(t, s)},
				{"--token-env=FORGE_TOKEN", "--ca-file=" + write(t, "ca.pem", string(s.CA()))}} {
				printed, err := process(t, slices.Concat([]string{"report-status", forgetest.Path,
					"--provider=" + string(f), "--api-url=" + s.API(), "--sha=" + forgetest.SHA,
					"--state=Succeeded"}, token)...)
				if (err != nil) != fail || strings.Contains(printed, "hunter") || strings.Count(printed, "\n") != 1 {
					t.Errorf("%s: error %v, printed\n%s", f, err, printed)
				}
			}
			if seen.Load() == 0 {
				t.Errorf("%s: the forge was not asked", f)
			}
		}
	}
}
