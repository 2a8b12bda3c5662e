// Command watchbench compares `tekgate watch` and `tekgate why` with tkn, Tekton's own command line,
// on the same objects.
//
// It creates PipelineRuns of four tasks on a real API server, each with the status that Tekton
// writes, so that a run has about 8 KB of JSON; every tenth failed. Then each command runs a few
// times. Printed are the shortest time and the largest resident set of its process, and the ratios:
// of `tekgate watch --once` to `tkn pipelinerun list`, and of `tekgate why` to
// `tkn pipelinerun describe`. `tekgate watch` itself is measured until it has printed all runs; it
// keeps them, and shares nothing with the time of a list.
//
// `tekgate why` and `tkn pipelinerun describe` run a second time through a proxy that makes the API
// server seem far away, 20 ms by default. On loopback both take little more than a process takes to
// start; with a distance, what counts is how many requests wait for each other.
//
// tkn is built from its module into the cache, which takes some minutes once.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

const tknVersion = "v0.46.0"

func main() {
	program := flag.String("tekgate", "bin/tekgate", "the `program` that is measured")
	runs := flag.Int("runs", 10_000, "`number` of PipelineRuns")
	rounds := flag.Int("rounds", 3, "how `often` each command runs")
	roundTrip := flag.Duration("round-trip", 20*time.Millisecond, "`duration` of a round trip to the distant API server")
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	err := run(ctx, *program, *runs, *rounds, *roundTrip, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "watchbench:", err)
		os.Exit(1)
	}
}

// command is one of those that are compared.
type command struct {
	name string
	args []string
	// lines is the number of lines after which the command, which does not end by itself, is
	// interrupted; 0 for one that ends.
	lines int
	// than is the index of the command that it is compared with, or -1.
	than int
	// exit is the code with which it ends: why ends with 1 where there is a cause.
	exit int
}

// cost is what a run of a command took; its zero value is a command that there is not.
type cost struct {
	time   time.Duration
	memory int64 // bytes
}

// better takes over a shorter time and a larger memory.
func (c *cost) better(other cost) {
	if c.time == 0 {
		*c = other
		return
	}
	c.time, c.memory = min(c.time, other.time), max(c.memory, other.memory)
}

func run(ctx context.Context, program string, runs, rounds int, roundTrip time.Duration,
	out, log io.Writer) (err error) {
	tkn, err := buildTkn(ctx, log)
	if err != nil {
		return err
	}
	c, err := cluster.New(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	began := time.Now()
	if err := populate(ctx, c.Config, runs); err != nil {
		return err
	}
	fmt.Fprintf(log, "created %d PipelineRuns in %s\n", runs, time.Since(began).Round(time.Second))
	distant, err := behind(ctx, c, roundTrip)
	if err != nil {
		return err
	}
	commands := compared(tkn, program, c.Kubeconfig, distant, runs, roundTrip)
	if !has(ctx, program, "why") {
		fmt.Fprintf(log, "%s has no verb why\n", program)
		commands = commands[:3]
	}
	results := make([]cost, len(commands))
	for range rounds {
		for i := range commands {
			got, err := measure(ctx, &commands[i])
			if err != nil {
				return fmt.Errorf("%s: %w", commands[i].name, err)
			}
			results[i].better(got)
		}
	}
	return report(out, commands, results)
}

// behind returns a kubeconfig of the cluster, seen from a distance.
func behind(ctx context.Context, c *cluster.Cluster, roundTrip time.Duration) (string, error) {
	server, err := url.Parse(c.Config.Host)
	if err != nil {
		return "", err
	}
	d, err := away(ctx, server.Host, roundTrip)
	if err != nil {
		return "", err
	}
	file := c.Kubeconfig + "-distant"
	return file, d.kubeconfig(c.Kubeconfig, file)
}

// compared returns the commands, those that explain a run last.
func compared(tkn, program, kubeconfig, distant string, runs int, roundTrip time.Duration) []command {
	near := []string{"-n", namespace, "--kubeconfig", kubeconfig}
	far := []string{"-n", namespace, "--kubeconfig", distant}
	describe, why := []string{tkn, "pipelinerun", "describe", failed}, []string{program, "why", "pipelinerun", failed}
	return []command{
		{"tkn pipelinerun list", slices.Concat([]string{tkn, "pipelinerun", "list"}, near), 0, -1, 0},
		{"tekgate watch --once", slices.Concat([]string{program, "watch", "--once"}, near), 0, 0, 0},
		{"tekgate watch", slices.Concat([]string{program, "watch"}, near), runs, -1, 0},
		{"tkn pipelinerun describe", slices.Concat(describe, near), 0, -1, 0},
		{"tekgate why", slices.Concat(why, near), 0, 3, 1},
		{fmt.Sprintf("tkn pipelinerun describe, %s away", roundTrip), slices.Concat(describe, far), 0, -1, 0},
		{fmt.Sprintf("tekgate why, %s away", roundTrip), slices.Concat(why, far), 0, 5, 1},
	}
}

// buildTkn returns the path of tkn.
func buildTkn(ctx context.Context, log io.Writer) (string, error) {
	module, err := release.Fetch(ctx, "github.com/tektoncd/cli", tknVersion)
	if err != nil {
		return "", err
	}
	folder, err := cluster.Recipe{
		Name: filepath.Join("tekton", "cli-"+tknVersion), Dir: module.Dir, Key: module.Version + module.Sum,
		Linker:   func() (string, error) { return "-s -w", nil },
		Packages: map[string]string{"tkn": "./cmd/tkn"},
	}.Build(ctx, log)
	return filepath.Join(folder, "tkn"), err
}

func has(ctx context.Context, program, verb string) bool {
	text, err := exec.CommandContext(ctx, program, "--help").Output()
	return err == nil && strings.Contains(string(text), "\n  "+verb+" ")
}

// measure runs a command once.
func measure(ctx context.Context, c *command) (cost, error) {
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	began := time.Now()
	if c.lines == 0 {
		memory, err := child.Watch(cmd)
		if cmd.ProcessState.ExitCode() == c.exit {
			err = nil
		}
		return cost{time.Since(began), memory}, err
	}
	counted := &counter{want: c.lines, reached: make(chan struct{})}
	var took time.Duration
	go func() {
		<-counted.reached
		took = time.Since(began)
		time.Sleep(2 * time.Second) // what comes after the list counts, too
		_ = cmd.Process.Signal(os.Interrupt)
	}()
	memory, err := child.WatchTo(cmd, counted)
	return cost{took, memory}, err
}

// counter counts lines.
type counter struct {
	want, got int
	reached   chan struct{}
}

func (c *counter) Write(text []byte) (int, error) {
	before := c.got
	c.got += bytes.Count(text, []byte("\n"))
	if before < c.want && c.got >= c.want {
		close(c.reached)
	}
	return len(text), nil
}

func report(out io.Writer, commands []command, results []cost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COMMAND\tTIME\tMEMORY\tTIME, RATIO\tMEMORY, RATIO")
	for i, c := range results {
		fmt.Fprintf(w, "%s\t%.3f s\t%.1f MiB", commands[i].name, c.time.Seconds(), float64(c.memory)/(1<<20))
		if than := commands[i].than; than >= 0 {
			other := results[than]
			fmt.Fprintf(w, "\t%.2f\t%.2f", c.time.Seconds()/other.time.Seconds(),
				float64(c.memory)/float64(other.memory))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
