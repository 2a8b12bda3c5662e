// Command init is the first process of a container or of a node: it runs the
// command that it is given, buries orphans meanwhile, and ends as that command does.
// Without a command it only waits to be ended, as what holds a Pod's namespaces does.
//
// It is three images' worth: a node's process 1, the sandbox of Pods, and what
// Tekton's image of the resolvers has as /sbin/tini.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	if len(args) == 0 {
		pause(stop)
		return
	}
	status, err := run(args, stop)
	if err != nil {
		fmt.Fprintf(os.Stderr, "init: running %s: %v\n", args[0], err)
		status = 127
	}
	os.Exit(status)
}

// pause waits for a signal to end; those of ended children it only takes note of.
func pause(stop <-chan os.Signal) {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	for {
		select {
		case <-stop:
			return
		case <-ended:
			for pid := 1; pid > 0; {
				pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			}
		}
	}
}

// run starts the command and waits for whatever ends until the command does.
// Process.Wait would do for the command alone.
func run(args []string, stop <-chan os.Signal) (status int, err error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	child, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range stop {
			_ = syscall.Kill(child.Pid, s.(syscall.Signal))
		}
	}()
	for {
		var state syscall.WaitStatus
		switch pid, err := syscall.Wait4(-1, &state, 0, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case pid == child.Pid && state.Signaled():
			return 128 + int(state.Signal()), nil
		case pid == child.Pid && state.Exited():
			return state.ExitStatus(), nil
		}
	}
}
