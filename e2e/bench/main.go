// Command bench compares Tekgate's admission server and linter with their peers, in one
// run on one machine, and writes docs/benchmarks.md.
//
// A figure can be compared only with others of the same run. Candidates therefore take
// turns in each round, and goals limit ratios of medians. The candidate "null", a handler
// that returns a constant, shows how quiet the machine was: a round in which it moved by
// more than a third from its median is measured again.
//
//	go run ./e2e/bench --rounds 1 --only cpu,handshakes
//	go run ./e2e/bench --from e2e/bench/results.json --out docs/benchmarks.md
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

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
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

// options are the flags.
type options struct {
	rounds    int
	span      time.Duration
	only      []string
	without   []string
	before    string
	from      string
	json, out string
}

// run is the program. Its hidden subcommands are candidates and the attacker, which need
// processes of their own.
func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	var o options
	command := &cobra.Command{
		Use: "bench", Short: "Compare Tekgate's admission server and linter with their peers", Args: cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(command *cobra.Command, _ []string) error {
			return o.run(command.Context(), out, errOut)
		},
	}
	flags := command.Flags()
	flags.IntVar(&o.rounds, "rounds", 5, "number of rounds")
	flags.DurationVar(&o.span, "span", 3*time.Second, "time for which a candidate is measured in each round")
	flags.StringSliceVar(&o.only, "only", nil, "`ids` of benchmarks, such as cpu,lint; default all")
	flags.StringSliceVar(&o.without, "without", nil, "`candidates` to leave out, such as kyverno,gatekeeper")
	flags.StringVar(&o.before, "before", "", "`program` tekgate of another commit, which lint is compared with")
	flags.StringVar(&o.from, "from", "", "`file` with measurements to render instead of measuring")
	flags.StringVar(&o.json, "json", "", "`file` to write the measurements to")
	flags.StringVar(&o.out, "out", "", "`file` to write the report to; default standard output")
	command.AddCommand(serveCommand(), load.AttackCommand())
	command.SetArgs(args)
	command.SetOut(out)
	command.SetErr(errOut)
	return command.ExecuteContext(ctx)
}

// check returns an error if the flags ask for something that cannot be measured.
func (o options) check() error {
	if o.rounds < 1 {
		return fmt.Errorf("--rounds is %d: it must be at least 1", o.rounds)
	}
	for _, name := range o.without {
		if name == null {
			return errors.New("--without null: the other candidates are compared with it")
		}
		if !slices.ContainsFunc(optional(), func(candidate string) bool { return named(candidate, name) }) {
			return fmt.Errorf("there is no candidate %s: use one of %s", name, strings.Join(optional(), ", "))
		}
	}
	return nil
}

// run writes a report of new or of recorded measurements. If a benchmark fails, the
// report says so, and run returns the error after writing it.
func (o options) run(ctx context.Context, out, errOut io.Writer) error {
	descriptions, err := report.Describe()
	if err != nil {
		return err
	}
	measurements, failed := o.measurements(ctx, errOut)
	if len(measurements.Results) == 0 {
		return failed
	}
	if o.json != "" {
		text, err := measurements.JSON()
		if err != nil {
			return errors.Join(failed, err)
		}
		if err := os.WriteFile(o.json, text, 0o644); err != nil {
			return errors.Join(failed, fmt.Errorf("writing the measurements: %w", err))
		}
	}
	text := report.Markdown(descriptions, measurements)
	if o.out == "" {
		_, err = io.WriteString(out, text)
	} else {
		err = os.WriteFile(o.out, []byte(text), 0o644)
	}
	if err != nil {
		err = fmt.Errorf("writing the report: %w", err)
	}
	return errors.Join(failed, err)
}

func (o options) measurements(ctx context.Context, errOut io.Writer) (report.Run, error) {
	if o.from == "" {
		return o.measure(ctx, errOut)
	}
	file, err := os.Open(o.from)
	if err != nil {
		return report.Run{}, fmt.Errorf("reading measurements: %w", err)
	}
	defer file.Close()
	return report.ReadRun(file)
}

// measure runs the chosen benchmarks.
func (o options) measure(ctx context.Context, errOut io.Writer) (result report.Run, err error) {
	chosen, err := choose(benchmarks(), o.only)
	if err := errors.Join(err, o.check()); err != nil {
		return result, err
	}
	e, err := newEnvironment(o, errOut)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, e.close(ctx)) }()
	result = report.Run{Date: time.Now().UTC().Format(time.DateOnly), Rounds: o.rounds, Span: o.span.String()}
	var failed []error
	for _, b := range chosen {
		fmt.Fprintf(errOut, "%s\n", b.id)
		figures, err := b.run(ctx, e)
		if ctx.Err() != nil {
			return report.Run{}, ctx.Err()
		}
		one := report.Result{Benchmark: b.id, Figures: figures, Notes: e.takeNotes()}
		if err != nil {
			one.Error = firstLine(err)
			failed = append(failed, fmt.Errorf("measuring %s: %w", b.id, err))
		}
		result.Results = append(result.Results, one)
	}
	result.Missing = e.missing
	result.Machine, result.Commit, result.Versions = machine(), commit(ctx), versions(ctx, e.clusters...)
	return result, errors.Join(failed...)
}

// choose returns the benchmarks with the given ids, in the order of all.
func choose(all []benchmark, ids []string) ([]benchmark, error) {
	if len(ids) == 0 {
		return all, nil
	}
	var known []string
	chosen := slices.DeleteFunc(slices.Clone(all), func(b benchmark) bool {
		known = append(known, b.id)
		return !slices.Contains(ids, b.id)
	})
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return nil, fmt.Errorf("there is no benchmark %s: use some of %s", id, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
