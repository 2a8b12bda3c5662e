package watch

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// terminal returns the two ends of a terminal of the given size.
func terminal(t *testing.T, width, height uint16) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there are no terminals here: %v", err)
	}
	fd := int(user.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close(); _ = user.Close() })
	resize(t, user, width, height)
	return user, program
}

func resize(t *testing.T, terminal *os.File, width, height uint16) {
	t.Helper()
	size := &unix.Winsize{Row: height, Col: width}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
}

// TestTerminal runs the command on a terminal: the table fits it, updates itself, shows why a run
// failed and survives an outage, and the terminal is as before when the command ends.
func TestTerminal(t *testing.T) {
	s := newSite(t)
	for i := range 20 {
		s.run("PipelineRun", fmt.Sprintf("run-%02d", i), "")
	}
	s.status("PipelineRun", "run-03", "False", "Failed", "it broke")
	user, program := terminal(t, 60, 10)
	shown := &buffer{}
	go func() {
		chunk := make([]byte, 4096)
		for {
			n, err := user.Read(chunk)
			if err != nil {
				return
			}
			_, _ = shown.Write(chunk[:n])
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		streams := cli.Streams{In: strings.NewReader(""), Out: program, ErrOut: program}
		ended <- cli.Run(ctx, cli.Root(command()), append([]string{"watch", "-n", "ci"}, s.Kubeconfig...), streams)
	}()
	last := func() []string { // the picture that was drawn last
		text := shown.String()
		pictures := strings.Split(text, home)
		if len(pictures) < 3 {
			return nil
		}
		return strings.Split(pictures[len(pictures)-2], "\r\n")
	}
	has := func(parts ...string) func() bool {
		return func() bool {
			text := strings.Join(last(), "\n")
			for _, part := range parts {
				if !strings.Contains(text, part) {
					return false
				}
			}
			return true
		}
	}
	s.Eventually("all runs are counted", has("19 pending, 1 failed in namespace ci", "pr/run-"))
	if lines := last(); len(lines) != 10 {
		t.Errorf("a terminal of 10 lines shows %d:\n%q", len(lines), lines)
	}
	resize(t, user, 100, 30)
	s.Eventually("the table has the new size", has("pr/run-03", "Failed", "the reason of PipelineRun ci/run-03."))
	if lines := last(); len(lines) != 22 {
		t.Errorf("a terminal of 30 lines shows %d of 22:\n%q", len(lines), lines)
	}
	s.run("TaskRun", "new", "")
	s.Eventually("a new run is shown", has("tr/new", "20 pending"))
	if err := s.cluster.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the outage is shown", has("the API server does not answer"))
	if err := s.cluster.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the end of the outage is shown", has("20 pending"))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.Eventually("the messages are printed at the end", func() bool {
		return strings.Contains(shown.String(), "answers again")
	})
	text := shown.String()
	clitest.InOrder(t, text, enterScreen, home, leaveScreen, "20 pending", "the API server does not answer: ",
		"the API server answers again")
	if strings.Count(text, enterScreen) != 1 || strings.Count(text, leaveScreen) != 1 {
		t.Error("the screen was entered or left more than once")
	}
	if before, _, _ := strings.Cut(text, leaveScreen); strings.Contains(before, "trying again") {
		t.Error("a message is in the middle of the table")
	}
}
