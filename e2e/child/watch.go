package child

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Watch runs a command and returns its largest resident set in bytes. The kernel's own account of a
// process that has ended includes what it was before it became the program.
func Watch(cmd *exec.Cmd) (memory int64, err error) {
	var text bytes.Buffer
	return watch(cmd, &text, &text)
}

// WatchTo is Watch with a writer for what the command prints to its standard output.
func WatchTo(cmd *exec.Cmd, out io.Writer) (memory int64, err error) {
	return watch(cmd, out, &bytes.Buffer{})
}

// watch runs a command; what it wrote to text becomes part of the error.
func watch(cmd *exec.Cmd, out io.Writer, text *bytes.Buffer) (memory int64, err error) {
	cmd.Stdout, cmd.Stderr = out, text
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, text.String())
			}
			return memory, err
		case <-time.After(10 * time.Millisecond):
			memory = max(memory, peak(cmd.Process.Pid))
		}
	}
}

// peak returns VmHWM of /proc/PID/status in bytes, zero if it is not there.
func peak(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, _ := strconv.ParseInt(value, 10, 64)
	return kilobytes << 10
}
