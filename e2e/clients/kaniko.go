package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tekgate/tekgate/e2e/node"
)

// Kaniko runs the executor that nodes of the scenarios run, chainguard's, for a Dockerfile. It returns
// what the executor prints. The executor empties the root of its file system, so it gets one of its own,
// in which it finds the Docker configuration as /dc/config.json.
func Kaniko(t testing.TB, dockerfile, dockerConfig string, env []string, args ...string) (string, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a root folder of its own needs root")
	}
	folder, err := node.Folder(t.Context(), t.Output(), "executor")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(filepath.Join(folder, "executor"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, text := range map[string][]byte{
		"kaniko/executor":     program,
		"kaniko/ctx/file":     nil,
		"context/Dockerfile":  []byte(dockerfile),
		"dc/config.json":      []byte(dockerConfig),
		"etc/passwd":          []byte("root:x:0:0:root:/root:/bin/sh\n"),
		"etc/hosts":           []byte("127.0.0.1 localhost\n"),
		"root/.keep":          nil,
		"tmp/.keep":           nil,
		"proc/self/mountinfo": []byte("1 1 0:1 / / rw - tmpfs tmpfs rw\n"),
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/kaniko/executor",
		append([]string{"--force", "--context=/context", "--dockerfile=/context/Dockerfile"}, args...)...)
	cmd.Env = append([]string{"HOME=/root", "PATH=/kaniko"}, env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
