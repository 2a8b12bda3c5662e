// Command bench compares Tekgate's admission server with its peers, in one run and on
// one machine, and writes docs/benchmarks.md.
//
// A figure of one run can be compared with the others of that run, and with nothing
// else. So the arms of a benchmark take turns, round by round; what is reported is the
// ratio of the medians, with the least and the largest ratio of a round; and the arm
// "null", a handler that reads the request and answers with a constant, says how quiet
// the machine was: a round in which it moved by more than a third from its median is
// measured again.
//
//	go run ./e2e/bench --rounds 1 --only B1,B7
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() { os.Exit(execute()) }

func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	rounds  int
	span    time.Duration
	only    []string
	without []string
	out     string
}

// run measures, or, as `bench serve`, is one of the arms.
func run(ctx context.Context, args []string, out, talk io.Writer) error {
	var o options
	command := &cobra.Command{
		Use: "bench", Short: "Compare Tekgate's admission server with its peers", Args: cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(command *cobra.Command, _ []string) error {
			return compare(command.Context(), o, out, talk)
		},
	}
	flags := command.Flags()
	flags.IntVar(&o.rounds, "rounds", 5, "how often each arm is measured")
	flags.DurationVar(&o.span, "span", 3*time.Second, "how long an arm is measured in a round")
	flags.StringSliceVar(&o.only, "only", nil, "ids of benchmarks, such as B1,B7; all by default")
	flags.StringSliceVar(&o.without, "without", nil, "arms to leave out, such as kyverno,gatekeeper")
	flags.StringVar(&o.out, "out", "", "`file` to write the report to; standard output by default")
	command.AddCommand(serveCommand())
	command.SetArgs(args)
	command.SetOut(out)
	command.SetErr(talk)
	return command.ExecuteContext(ctx)
}

// compare runs the benchmarks that are asked for. One that fails is said in the
// report, and makes the run fail at its end.
func compare(ctx context.Context, o options, out, talk io.Writer) (err error) {
	chosen, err := choose(benchmarks(), o.only)
	if err != nil {
		return err
	}
	b, err := newBed(o, talk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close(ctx)) }()
	report, failed := Report{Rounds: o.rounds, Span: o.span}, []error(nil)
	for _, one := range chosen {
		fmt.Fprintf(talk, "%s %s\n", one.ID, one.Title)
		result := Result{benchmark: one}
		result.Figures, result.Err = one.Run(ctx, b)
		result.Notes = b.takeNotes()
		if result.Err != nil {
			failed = append(failed, fmt.Errorf("measuring %s: %w", one.ID, result.Err))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		report.Results = append(report.Results, result)
	}
	report.Missing = b.missing
	report.Machine = thisMachine(ctx, b.clusters...)
	return errors.Join(append(failed, report.save(o.out, out))...)
}

// choose returns the benchmarks with the given ids, in the table's order.
func choose(all []benchmark, ids []string) ([]benchmark, error) {
	if len(ids) == 0 {
		return all, nil
	}
	var known []string
	chosen := slices.DeleteFunc(slices.Clone(all), func(b benchmark) bool {
		known = append(known, b.ID)
		return !slices.Contains(ids, b.ID)
	})
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return nil, fmt.Errorf("there is no benchmark %s: choose of %s", id, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
