//go:build !unix

package resolve

import "os/exec"

// alone leaves a command as it is where there are no process groups; its children end by git's own limits.
func alone(*exec.Cmd) {}
