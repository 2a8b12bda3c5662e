//go:build unix

package resolve

import (
	"os/exec"
	"syscall"
)

// alone puts a command in a process group of its own, which ends as a whole: git leaves the network to children.
func alone(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}
