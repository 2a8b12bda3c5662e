package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// process is a program of the node's that runs until the node ends.
type process struct {
	name string
	log  string // a file
	done chan error
}

// run starts a program. Its output goes to a file in the node's folder of logs.
func (n *Node) run(name string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(name), done: make(chan error, 1)}
	p.log = filepath.Join(n.Logs, p.name+".log")
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), name, args...) // it is told to end, and then waited for
	cmd.Stdout, cmd.Stderr = log, log
	// Nothing else of the machine's: its proxy would be asked for what is in the node.
	// The last is for the registry, which otherwise looks for somebody to tell.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.parts.Dir, "OTEL_TRACES_EXPORTER=none"}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() {
		defer log.Close()
		p.done <- cmd.Wait()
	}()
	return p, nil
}

// until tries until there is no error, a process ends or the time is over.
func until(ctx context.Context, limit time.Duration, p *process, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting %s for %s: %w%s", limit, p.name, err, p.tail())
		case end := <-p.done:
			return fmt.Errorf("%s has ended: %w%s", p.name, errors.Join(end, err), p.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail is the end of the process's log.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	return "; its log ends with\n" + string(text[max(0, len(text)-3000):])
}
