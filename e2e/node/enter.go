package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// insideEnv is set, to what a node is made from, for a process that runs in the
// namespaces of a node.
const insideEnv = "TEKGATE_NODE"

// Parts are what a node is made from. They are found and built outside, since the
// node has no way out.
type Parts struct {
	Programs
	// Bin holds Tekgate's own programs, and Init the program of e2e/node/init.
	Bin, Init string
	// Dir is the node's folder: everything that it writes is below it. Its control group
	// has the same name, and is not the machine's: the kubelet manages all groups below it.
	Dir string
	// Name is what the node was entered as.
	Name string
}

// temp is the folder of the node's temporary files, envtest's among them: nobody is
// asked to remove these when the node is killed.
func (parts Parts) temp() string { return filepath.Join(parts.Dir, "tmp") }

// Inside returns the parts of the node that this process runs in; ok is false
// outside.
func Inside() (parts Parts, ok bool, err error) {
	text := os.Getenv(insideEnv)
	if text == "" {
		return parts, false, nil
	}
	if err := json.Unmarshal([]byte(text), &parts); err != nil {
		return parts, true, fmt.Errorf("reading %s: %w", insideEnv, err)
	}
	return parts, true, nil
}

// Enter runs this very program again for each of the names, with the same arguments, in
// namespaces of its own: network, mounts and processes. The programs run at the same time,
// and each line of their output begins with the name. Enter returns the highest of their
// exit statuses when nothing is left of the nodes. all is that of Build.
//
// The kernel does the clearing up. When this process ends, be it killed, process 1
// of the node is killed with it (Pdeathsig), with it every process of its process
// namespace, and with the last of them the mounts and the network. Only folders and
// control groups stay, which the next run removes.
func Enter(ctx context.Context, log io.Writer, all bool, names ...string) (status int, err error) {
	if missing := Missing(all); len(missing) > 0 {
		return 1, missing
	}
	parts, err := find(ctx, log, all)
	if err != nil {
		return 1, err
	}
	// A terminal's interrupt reaches the nodes, too, which then end by themselves.
	signal.Ignore(syscall.SIGINT)
	defer signal.Reset(syscall.SIGINT)
	var running sync.WaitGroup
	statuses, errs := make([]int, len(names)), make([]error, len(names))
	for i, name := range names {
		running.Go(func() {
			own := parts
			own.Name, own.Dir = name, filepath.Join(os.TempDir(), "tekgate-node-"+name)
			statuses[i], errs[i] = own.enter()
		})
	}
	running.Wait()
	return slices.Max(statuses), errors.Join(errs...)
}

// enter runs this program in one node, which is cleared before and afterwards.
func (parts Parts) enter() (status int, err error) {
	unlock, err := lockedfile.MutexAt(parts.Dir + ".lock").Lock()
	if err != nil {
		return 1, fmt.Errorf("waiting for another node to end: %w", err)
	}
	defer unlock()
	if err := clear(parts.Dir); err != nil {
		return 1, fmt.Errorf("removing what an earlier run has left: %w", err)
	}
	if err := os.MkdirAll(parts.temp(), 0o755); err != nil {
		return 1, err
	}
	status, err = parts.run()
	return status, errors.Join(err, clear(parts.Dir))
}

func find(ctx context.Context, talk io.Writer, all bool) (Parts, error) {
	programs, err := Build(ctx, talk, all)
	if err != nil {
		return Parts{}, err
	}
	root, err := cluster.Root(ctx)
	if err != nil {
		return Parts{}, err
	}
	bin := filepath.Join(root, "bin")
	if _, err := os.Stat(filepath.Join(bin, "tekgate")); err != nil {
		return Parts{}, fmt.Errorf("looking for Tekgate's own programs (make build): %w", err)
	}
	init, err := buildInit(ctx, root, talk)
	return Parts{Programs: programs, Bin: bin, Init: init}, err
}

func buildInit(ctx context.Context, root string, talk io.Writer) (string, error) {
	dir := filepath.Join(root, "e2e", "node", "init")
	source, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil {
		return "", err
	}
	out, err := cluster.Recipe{
		Name: filepath.Join("node", "init"), Dir: dir, Key: string(source) + buildRecipe,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: map[string]string{"init": "."},
	}.Build(ctx, talk)
	return filepath.Join(out, "init"), err
}

func (parts Parts) run() (status int, err error) {
	text, err := json.Marshal(parts)
	if err != nil {
		return 1, err
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	// The kernel sends Pdeathsig when the thread ends, not the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(context.Background(), parts.Init, append([]string{"--", self}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), insideEnv+"="+string(text), "TMPDIR="+parts.temp(), "NO_PROXY=*", "no_proxy=*")
	stdout, stderr := &lines{out: os.Stdout, name: parts.Name}, &lines{out: os.Stderr, name: parts.Name}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig: syscall.SIGKILL,
	}
	err = errors.Join(cmd.Run(), stdout.end(), stderr.end())
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, fmt.Errorf("making the node's namespaces: %w", err)
	}
	return 0, nil
}
