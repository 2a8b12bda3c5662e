// Command installbench compares `tekgate install` with another build of it, such as that of an older
// commit, on a real API server.
//
// Each program installs Pipelines, Triggers and Tekgate to an empty control plane of its own, which
// has no controllers, so that nothing is waited for, and then installs the same again. The programs
// take turns. Printed are the shortest time, the least processor time and the largest resident set of
// the process in all rounds, and the ratio of ours to the other's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"text/tabwriter"
	"time"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/cluster"
)

func main() {
	program := flag.String("tekgate", "bin/tekgate", "the `program` that is measured")
	before := flag.String("before", "", "another build of it `program` to compare with")
	rounds := flag.Int("rounds", 5, "how `often` each program installs")
	flag.Parse()
	if err := run(context.Background(), []string{*program, *before}, *rounds, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "installbench:", err)
		os.Exit(1)
	}
}

// cost is what one run of a program took.
type cost struct {
	time, cpu time.Duration
	memory    int64 // bytes
}

// better takes over what is less in another run, except memory, of which the most counts.
func (c *cost) better(other cost) {
	if c.time == 0 {
		*c = other
		return
	}
	c.time, c.cpu, c.memory = min(c.time, other.time), min(c.cpu, other.cpu), max(c.memory, other.memory)
}

func run(ctx context.Context, programs []string, rounds int, out, log io.Writer) error {
	if programs[1] == "" {
		return errors.New("name another build of tekgate with --before")
	}
	results := make([][2]cost, len(programs))
	for round := range rounds {
		for i := range programs {
			i = (i + round) % len(programs) // neither is always the first
			fmt.Fprintf(log, "round %d: %s\n", round+1, programs[i])
			costs, err := measure(ctx, programs[i], log)
			if err != nil {
				return fmt.Errorf("%s: %w", programs[i], err)
			}
			for pass := range costs {
				results[i][pass].better(costs[pass])
			}
		}
	}
	return report(out, programs, results)
}

// measure installs to an empty control plane, and once more.
func measure(ctx context.Context, program string, log io.Writer) (costs [2]cost, err error) {
	c, err := cluster.New(ctx, log)
	if err != nil {
		return costs, err
	}
	defer func() { err = errors.Join(err, c.Stop()) }()
	for pass := range costs {
		cmd := exec.CommandContext(ctx, program, "install", "--kubeconfig", c.Kubeconfig, "--mirror", "mirror.example.com/tekton",
			"--skip-probe", "--wait=false", "--yes")
		began := time.Now()
		memory, err := child.Watch(cmd)
		if err != nil {
			return costs, err
		}
		costs[pass] = cost{time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), memory}
	}
	return costs, nil
}

func report(out io.Writer, programs []string, results [][2]cost) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROGRAM\tINSTALL\tCPU\tMEMORY\tSECOND RUN\tCPU\tMEMORY")
	for i, program := range programs {
		fmt.Fprint(w, program)
		for _, c := range results[i] {
			fmt.Fprintf(w, "\t%.2f s\t%.2f s\t%.1f MiB", c.time.Seconds(), c.cpu.Seconds(), float64(c.memory)/(1<<20))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "ratio")
	for pass := range results[0] {
		ours, other := results[0][pass], results[1][pass]
		fmt.Fprintf(w, "\t%.2f\t%.2f\t%.2f", ours.time.Seconds()/other.time.Seconds(), ours.cpu.Seconds()/other.cpu.Seconds(),
			float64(ours.memory)/float64(other.memory))
	}
	fmt.Fprintln(w)
	return w.Flush()
}
