package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// GitHost is where private repositories are, behind SSH.
const GitHost = "git.example.com"

// gitCommands are those commands of git's that are no part of its program.
var gitCommands = []string{"git-submodule", "git-sh-setup", "git-sh-i18n"}

// debianGit holds git, ssh and the libraries that they are linked to.
func debianGit(ctx context.Context) (image, error) {
	files := map[string]string{}
	for _, program := range []string{"git", "ssh"} {
		path, err := exec.LookPath(program)
		if err != nil {
			return image{}, err
		}
		files["usr/bin/"+program] = path
		out, err := exec.CommandContext(ctx, "ldd", path).Output()
		if err != nil {
			return image{}, fmt.Errorf("asking for the libraries of %s: %w", path, err)
		}
		for _, word := range strings.Fields(string(out)) {
			if filepath.IsAbs(word) {
				files[strings.TrimPrefix(word, "/")] = word
			}
		}
	}
	out, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return image{}, fmt.Errorf("asking git for its commands: %w", err)
	}
	commands := strings.TrimSpace(string(out))
	for _, name := range gitCommands {
		path := filepath.Join(commands, name)
		files[strings.TrimPrefix(path, "/")] = path
	}
	links := map[string]string{strings.TrimPrefix(commands, "/") + "/git": "/usr/bin/git"}
	return image{files: files, links: links}, nil
}

// sshConfig is that of a server for nothing but git: everybody is user git, whose shell
// is git's, and has a key. The user has root's number, as the owner of the repository has,
// which git would not serve to anybody else. The server checks no owners, since the node's
// folder is in one that everybody may write to.
const sshConfig = `ListenAddress %[1]s:22
HostKey %[2]s
AuthorizedKeysFile %[3]s
AllowUsers git
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
PidFile none
`

// gitServer starts the server and gives it a repository, team/app.git, that is empty but
// for what a scenario pushes.
func (n *Node) gitServer(ctx context.Context) error {
	home := filepath.Join(n.parts.Dir, "git")
	n.GitKey = filepath.Join(n.parts.Dir, "files", "git-key")
	host := filepath.Join(n.parts.Dir, "files", "git-host-key")
	shell, err := exec.LookPath("git-shell")
	if err != nil {
		return err
	}
	for _, command := range [][]string{
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", n.GitKey},
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", host},
		{"git", "init", "--quiet", "--bare", "--initial-branch=master", filepath.Join(home, "team", "app.git")},
	} {
		if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	// The file is the node's own (package comment).
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	if err := write("/etc/passwd", string(passwd)+"git:*:0:0::"+home+":"+shell+"\n"); err != nil {
		return err
	}
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return err
	}
	config, err := n.file("sshd.conf", fmt.Sprintf(sshConfig, gitAddress, host, n.GitKey+".pub"))
	if err != nil {
		return err
	}
	sshd, err := exec.LookPath("sshd") // it runs itself again, by its whole name
	if err != nil {
		return err
	}
	p, err := n.run(sshd, "-D", "-e", "-f", config)
	if err != nil {
		return err
	}
	return until(ctx, 30*time.Second, p, func(ctx context.Context) error {
		return exec.CommandContext(ctx, "ssh-keyscan", "-T", "1", GitHost).Run()
	})
}
