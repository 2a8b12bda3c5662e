package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Report is what docs/benchmarks.md is made of.
type Report struct {
	Machine Machine
	Rounds  int
	Span    time.Duration
	Missing []Missing
	Results []Result
}

// Result is what one benchmark gave.
type Result struct {
	benchmark
	Figures []Figure
	Notes   []string
	Err     error
}

// Machine is where it was measured. Nothing in it names the machine.
type Machine struct {
	CPU, Kernel, Go string
	Cores           int
	Versions        []string
}

func thisMachine(context.Context) Machine { return Machine{} }

func (r Report) save(_ string, out io.Writer) error {
	for _, x := range r.Results {
		for _, f := range x.Figures {
			fmt.Fprintf(out, "%s %-50s %-28s %.3f %s\n", f.ID, f.What, f.Arm, f.Rounds, f.Unit)
		}
		for _, n := range x.Notes {
			fmt.Fprintln(out, "note:", n)
		}
		for _, g := range x.Goals {
			v := g.Judge(x.Figures)
			fmt.Fprintln(out, v.Outcome(), g.Text, v.Ratio, g.Limit())
		}
	}
	return nil
}

// number prints a figure with as many digits as mean something.
func number(value float64) string { return fmt.Sprintf("%.3g", value) }
